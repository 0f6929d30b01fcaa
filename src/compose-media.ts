/** Builds uploads and joins their parts; a page of compose.ts. */
import type { RequestHandler, Router } from 'express';
import type { Db } from 'mongodb';
import type { Config } from './config.js';
import type { Jobs } from './jobs/jobs.js';
import type { Clock } from './lib/clock.js';
import type { Logger } from './lib/logger.js';
import type { Notifier } from './lib/notifier.js';
import { mediaApi, mediaUploadApi } from './media/media-api.js';
import { createMediaFiles } from './media/media-files.js';
import { mediaPages } from './media/media-pages.js';
import { mediaPublic } from './media/media-public.js';
import { createMediaRemoval } from './media/media-removal.js';
import { createMediaService, type MediaService } from './media/media-service.js';
import { createMediaStore } from './media/media-store.js';
import { createMediaUsageStore } from './media/media-usage-store.js';
import { formFiles } from './media/media-upload.js';
import { mediaFactsOf } from './platforms/media-facts.js';
import type { MediaItem } from './platforms/platform.js';
import type { FilesDoor } from './posts/post-files.js';
import { createPostMediaStore } from './posts/post-media-store.js';

export interface MediaDeps {
  config: Pick<Config, 'mediaDir' | 'mediaMaxBytes' | 'mediaRetentionDays'>;
  db: Db;
  clock: Clock;
  log: Logger;
  notifier: Notifier;
  jobs: Pick<Jobs, 'sweep'>;
  /** Workers use files; those that serve the pages take and clear them. */
  isWeb: boolean;
  publicUrl(): string;
  /** Bytes that the account's plan allows; null: no limit. */
  limitOf(accountId: string): Promise<number | null>;
}

export interface Media {
  service: MediaService;
  /** For posts. */
  files: FilesDoor;
  rawRouter: Router;
  apiReader: Router;
  apiRouter: Router;
  formFiles: RequestHandler;
  pages: Router;
}

const SWEEP_EVERY_MS = 60_000;
/** Forms that take files in the field `files`. */
const FORMS = /^\/(?:media|posts|posts\/[A-Za-z0-9_-]{1,64}\/edit)\/?$/;

export function composeMedia(deps: MediaDeps): Media {
  const { config, db, clock, log, notifier, publicUrl } = deps;
  const files = createMediaFiles(config.mediaDir);
  const store = createMediaStore(db);
  const usage = createMediaUsageStore(db);
  const removal = createMediaRemoval({ store, usage, files, clock, log, notifier, postsWith: createPostMediaStore(db).postsWith });
  const service = createMediaService({
    store, usage, files, removal, clock, notifier, publicUrl, maxBytes: config.mediaMaxBytes, retentionDays: config.mediaRetentionDays, limitOf: deps.limitOf,
    billingUrl: () => `${publicUrl()}/billing`,
    shapeOf(telling, contentType) {
      const { width, height, durationMs } = mediaFactsOf(telling, contentType);
      return { ...(width === undefined || height === undefined ? {} : { width, height }), ...(durationMs === undefined ? {} : { durationMs }) };
    },
  });
  if (deps.isWeb) files.prepare();
  if (deps.isWeb) deps.jobs.sweep('media', SWEEP_EVERY_MS, () => removal.sweep());
  return {
    service,
    files: {
      async find(actor, ids) {
        const found = await service.findOwn(actor, ids);
        return new Map([...found].map(([id, file]): [string, MediaItem] => [id, {
          url: service.urlOf(file), kind: file.type.kind, facts: { contentType: file.type.contentType, bytes: file.bytes, ...file.shape },
        }]));
      },
      isHere: (url) => URL.canParse(url) && new URL(url).origin === new URL(publicUrl()).origin,
      use: service.use,
      endUse: service.endUse,
    },
    rawRouter: mediaPublic(service, config.mediaDir),
    apiReader: mediaUploadApi(service),
    apiRouter: mediaApi(service),
    formFiles: formFiles(service, (req) => req.method === 'POST' && FORMS.test(req.path)),
    pages: mediaPages({ media: service, limitOf: deps.limitOf }),
  };
}
