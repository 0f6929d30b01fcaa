/** The actor, under the name by which the domains know it; the shape is a leaf because the HTTP shell carries it too. */
export type { Actor } from '../lib/actor.js';
