/** Tells whoever listens in this process that something changed; a hint for speed, never the only way to learn it. */

export interface Notifier {
  /** @param topic e.g. `post:ID`, `account:ID:posts`, `account:ID:inbox`, `account:ID:deliveries`. */
  notify(topic: string): void;
  /** @returns a function that ends the subscription. */
  subscribe(topic: string, listener: () => void): () => void;
}

export function createNotifier(): Notifier {
  const listeners = new Map<string, Set<() => void>>();
  return {
    notify(topic) {
      for (const listener of listeners.get(topic) ?? []) listener();
    },
    subscribe(topic, listener) {
      const set = listeners.get(topic) ?? new Set();
      set.add(listener);
      listeners.set(topic, set);
      return () => {
        set.delete(listener);
        if (set.size === 0) listeners.delete(topic);
      };
    },
  };
}
