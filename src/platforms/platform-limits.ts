/** A platform's published limits as data. */
import type { MediaKind } from './media-kind.js';

/** How a platform counts text; `text-length.ts` implements each rule. */
export type CountingRule = 'graphemes' | 'weighted' | 'characters' | 'utf16' | 'bytes' | 'mastodon' | 'threads';

/** A platform's published limits; used by the page, the API and the publisher through `check-content.ts`. */
export interface PlatformLimits {
  text: {
    max: number;
    counting: CountingRule;
    maxBytes?: number;
    required: boolean;
    /** Shorter when media goes along, e.g. telegram's captions. */
    maxWithMedia?: number;
    /** An option that allows more, e.g. twitter: `longPost`. */
    longer?: { option: string; max: number };
    /** Characters that the network refuses, e.g. youtube: `<>`. */
    forbidden?: string;
    maxHashtags?: number;
    maxMentions?: number;
  };
  media: {
    min: number;
    max: number;
    /** Kinds the platform takes. */
    kinds: MediaKind[];
    maxVideos: number;
    /** Left out: as many as files. */
    maxDocuments?: number;
    /** May images and videos be mixed in one post? */
    mixed: boolean;
    /** At least one of these kinds is needed, e.g. youtube: `video`. */
    requires?: MediaKind[];
    /** Checked as far as a file's facts are known. */
    image?: ImageRule;
    video?: VideoRule;
    document?: FileRule;
  };
  /** What the network takes from one account; respected before a call. */
  publish?: { max: number; windowMs: number }[];
  /** Calls that it gets at once from all accounts together; left out: as many as the publisher makes at any one network. */
  concurrent?: number;
}

export interface FileRule {
  minBytes?: number;
  maxBytes?: number;
  /** MIME types; left out: any. */
  types?: string[];
}

interface ShapeRule extends FileRule {
  minWidth?: number;
  maxWidth?: number;
  /** Width divided by height. */
  minAspect?: number;
  maxAspect?: number;
}

export interface ImageRule extends ShapeRule {
  /** Width times height. */
  maxPixels?: number;
}

export interface VideoRule extends ShapeRule {
  minSeconds?: number;
  maxSeconds?: number;
  /** An option that allows more, e.g. twitter: `longVideo`. */
  longer?: { option: string; maxSeconds: number };
}
