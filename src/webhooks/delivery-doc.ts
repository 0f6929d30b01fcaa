/** A delivery as MongoDB keeps it: the document's shape, its indexes, and the way to a `Delivery` and back. */
import type { CollectionIndexes } from '../db/database.js';
import type { Delivery, Lease } from './delivery.js';
import { DAY_S, RETENTION_DAYS } from './event.js';

/** What keeps a delivery in the line of an ordered endpoint. */
export const OUT_OF_LINE = { lineOf: '', position: '', inFlightFor: '' } as const;

/** Facts that most deliveries don't have when they are made. */
type Later = 'attempts' | 'note' | 'lastStatus' | 'lastError' | 'endedAt' | 'resumeTo' | 'recoveryId';

/** `dueFor`, `dueAt` and `lease` exist only while they mean something, so that the sparse indexes cost by what is due and not by what is stored. */
export interface DeliveryDoc extends Omit<Delivery, 'id' | 'dueAt' | 'lease' | 'position' | Later>, Partial<Pick<Delivery, Later>> {
  _id: string;
  /** The endpoint again, while the delivery waits. */
  dueFor?: string;
  dueAt?: Date;
  lease?: Lease;
  /** The endpoint again, while the delivery stands in its line: see `delivery-line.ts`. */
  lineOf?: string;
  position?: string;
  /** The endpoint again, while this delivery of its line is being sent: a unique index lets there be one. */
  inFlightFor?: string;
  /** Claims since the last stored attempt: a delivery that kills its sender again and again is given up. */
  claims: number;
}

export const deliveryIndexes: CollectionIndexes[] = [
  {
    collection: 'webhook_deliveries',
    indexes: [
      { key: { dueFor: 1, dueAt: 1 }, name: 'due_by_endpoint', sparse: true },
      { key: { dueAt: 1 }, name: 'due', sparse: true },
      { key: { 'lease.until': 1 }, name: 'lease_until', sparse: true },
      { key: { lineOf: 1, position: 1 }, name: 'line', sparse: true },
      { key: { inFlightFor: 1 }, name: 'one_in_flight_in_line', unique: true, sparse: true },
      { key: { accountId: 1, createdAt: -1, _id: -1 }, name: 'by_account' },
      { key: { endpointId: 1, createdAt: -1, _id: -1 }, name: 'by_endpoint' },
      { key: { createdAt: 1 }, name: 'retention', expireAfterSeconds: RETENTION_DAYS * DAY_S },
    ],
  },
];

/** A delivery without the bulky parts. */
export interface DeliveryRow extends Omit<Delivery, 'body' | 'attempts'> {
  /** How long the last attempt took; null before the first. */
  lastDurationMs: number | null;
}

/** Projection of what a row needs. */
export const ROW_FIELDS = { body: 0, 'attempts.url': 0, 'attempts.requestHeaders': 0, 'attempts.responseHeaders': 0, 'attempts.responseBody': 0 } as const;

export function toDoc({ id, dueAt, lease, position, attempts: _attempts, note, lastStatus: _lastStatus, lastError: _lastError, endedAt, resumeTo: _resumeTo, recoveryId: _recoveryId, ...rest }: Delivery): DeliveryDoc {
  return {
    _id: id,
    ...rest,
    ...(dueAt === null ? {} : { dueFor: rest.endpointId, dueAt }),
    ...(lease === null ? {} : { lease }),
    ...(position === null || dueAt === null ? {} : { lineOf: rest.endpointId, position }),
    ...(note === null ? {} : { note }),
    ...(endedAt === null ? {} : { endedAt }),
    claims: lease === null ? 0 : 1,
  };
}

export function toRow(doc: DeliveryDoc): DeliveryRow {
  const { attempts, body: _body, ...row } = toDelivery(doc);
  return { ...row, lastDurationMs: attempts.at(-1)?.durationMs ?? null };
}

export function toDelivery({ _id, dueFor: _dueFor, claims: _claims, lineOf: _lineOf, inFlightFor: _inFlightFor, ...doc }: DeliveryDoc): Delivery {
  return {
    id: _id,
    ...doc,
    sequence: doc.sequence ?? 0,
    position: doc.position ?? null,
    dueAt: doc.dueAt ?? null,
    lease: doc.lease ?? null,
    attempts: doc.attempts ?? [],
    note: doc.note ?? null,
    lastStatus: doc.lastStatus ?? null,
    lastError: doc.lastError ?? null,
    endedAt: doc.endedAt ?? null,
    resumeTo: doc.resumeTo ?? null,
    recoveryId: doc.recoveryId ?? null,
  };
}
