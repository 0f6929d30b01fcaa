/** What follows a public root: the further items of its thread, one after the other, then the first comment. Pure rules. */
import { isOpen, type FollowUp, type Publication, type Step } from '../posts/post.js';

/** Makes the next step due when the ones before it are done; a publication without follow-ups, or one that is not public, stays as it is. */
export function withNext(publication: Publication, now: Date): Publication {
  const { state, followUps } = publication;
  if (followUps === undefined || state !== 'published' || followUps.some(isOpen)) return publication;
  const next = nextOf(followUps);
  if (next === null) return publication;
  return { ...publication, followUps: followUps.map((step) => (step === next ? { ...step, dueAt: now } : step)) };
}

/** An item that failed ends its thread; the comment is about the root and goes out all the same, but not where all of it came too late. */
function nextOf(followUps: readonly FollowUp[]): FollowUp | null {
  const broken = followUps.find((step) => step.kind === 'reply' && step.state !== 'published');
  if (broken?.state === 'pending') return broken;
  if (broken?.state === 'missed') return null;
  return followUps.find((step) => step.kind === 'comment' && step.state === 'pending') ?? null;
}

/** The step that can be sent now because the one before it was, if there is one. */
export function dueFollowUp(publication: Publication | undefined, now: Date): FollowUp | null {
  return publication?.followUps?.find((step) => step.state === 'pending' && step.dueAt !== null && step.dueAt <= now) ?? null;
}

/** Of which item's id at the network a follow-up is an answer; null: nobody knows it, since a person marked it as published. */
export function placeOf(publication: Publication, step: FollowUp): { rootId: string; parentId: string } | null {
  const before = (publication.followUps ?? []).slice(0, publication.followUps?.findIndex(({ id }) => id === step.id));
  const rootId = publication.remoteId;
  if (rootId === null) return null;
  const parentId = step.kind === 'comment' ? rootId : (before.findLast((other) => other.kind === 'reply' && other.remoteId !== null)?.remoteId ?? rootId);
  return { rootId, parentId };
}

export function isFollowUp(step: Step): step is FollowUp {
  return 'kind' in step;
}
