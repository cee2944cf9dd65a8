type Members = ReadonlySet<number>;

interface Sounding {
  readonly heard: Set<number>;
  readonly isEnough: (heard: Members) => boolean;
  /** Group tick at which it ends in any case. */
  readonly deadline: number;
  readonly resolve: (heard: Members) => void;
}

/**
 * Questions of a leader who is there now. What it knows otherwise is up to an election timeout old, and as old as the last
 * change of the links in a group that is quiet.
 */
export class Soundings {
  #open: Sounding[] = [];

  get isEmpty(): boolean {
    return this.#open.length === 0;
  }

  /**
   * Resolves with who answered from now on, this member included: once they are enough, or at the deadline, a tick of the
   * group.
   */
  begin(self: number, isEnough: Sounding['isEnough'], deadline: number): Promise<Members> {
    return new Promise((resolve) => {
      this.#open.push({ heard: new Set(), isEnough, deadline, resolve });
      this.heard(self);
    });
  }

  /** A member answered this leader. */
  heard(member: number): void {
    this.#endWhere(({ heard, isEnough }) => isEnough(heard.add(member)));
  }

  tick(ticks: number): void {
    this.#endWhere(({ deadline }) => deadline <= ticks);
  }

  endAll(): void {
    this.#endWhere(() => true);
  }

  #endWhere(ends: (sounding: Sounding) => boolean): void {
    this.#open = this.#open.filter((sounding) => {
      if (!ends(sounding)) return true;
      sounding.resolve(sounding.heard);
      return false;
    });
  }
}
