/** Which of an account's profiles a call or a session works in, for the HTTP shell. */
import type { ChosenProfile, ProfileChoice } from '../http/actor.js';
import type { Actor } from './actor.js';
import type { Profile } from './profile.js';
import type { ProfileService } from './profile-service.js';

export function profileChoice(profiles: Pick<ProfileService, 'findByKey' | 'find'>): ProfileChoice {
  const chosen = (actor: Actor, profile: Profile): ChosenProfile => ({ actor: { ...actor, profileId: profile.id }, title: profile.title });
  return {
    async byKey(actor, key) {
      const profile = await profiles.findByKey(actor, key);
      return profile === null || profile.isBeingRemoved ? null : chosen(actor, profile);
    },
    async byId(actor, id) {
      const profile = await profiles.find(actor, id);
      return profile === null ? null : chosen(actor, profile);
    },
  };
}
