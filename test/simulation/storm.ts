import { storm, StormFailure } from '@oaas/odgm/testkit/storm';
import { type Played, PlayFailure, type PlayOptions } from './run.ts';

/** Plays one seed with replicas that merge. `memberChanges` are replicas that were replaced. Throws {@link PlayFailure}. */
export async function play({ seed, onTrace }: PlayOptions): Promise<Played> {
  try {
    const { hash, virtualMs, operations, replaced, crashes } = await storm(seed, onTrace);
    return { hash, virtualMs, operations, memberChanges: replaced, crashes, ambushes: 0, compared: 0, doubtful: 0 };
  } catch (error) {
    throw error instanceof StormFailure ? new PlayFailure(error.world, error) : error;
  }
}
