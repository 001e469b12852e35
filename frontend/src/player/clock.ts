/**
 * The second that is played, told to whoever listens without drawing the page anew: a transcript has
 * thousands of words, and the time changes with every picture.
 */
export interface Clock {
  now: () => number;
  tell: (second: number) => void;
  /** Listen until the returned function is called; told at once where it stands. */
  follow: (listener: (second: number) => void) => () => void;
}

export function makeClock(): Clock {
  const listeners = new Set<(second: number) => void>();
  let now = 0;
  return {
    now: () => now,
    tell: (second) => {
      if (second === now) return;
      now = second;
      for (const listener of listeners) listener(second);
    },
    follow: (listener) => {
      listeners.add(listener);
      listener(now);
      return () => listeners.delete(listener);
    },
  };
}
