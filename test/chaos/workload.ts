/** Something that clients do with a grid, and what they may expect of it. One for each kind of collection. */
export interface Workload {
  readonly name: string;
  /** Operations with a known outcome. */
  readonly done: number;
  start(): void;
  /** Resolves when every client has heard the end of its last operation, or has given it up. */
  stop(): Promise<void>;
  /** The grid is healed: rejects when it does not go on. */
  demandProgress(): Promise<void>;
  /** Rejects when something that was promised does not hold. Gives what could not be decided, if anything. */
  check(): Promise<readonly string[]>;
}

/** A healed grid must answer everything within this. */
export const progressMs = 60_000;

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
