import type { MetaState } from '../meta/index.ts';
import { throttleOf } from '../tasks/index.ts';

/** The most that any check under way may read; without one, what settings allow. */
export function checkRateOf(state: MetaState): number {
  const active = [...state.tasks.values()].filter(
    ({ state: at, kind }) => at === 'running' && (kind === 'consistency-check' || kind === 'repair'),
  );
  if (active.length === 0) return state.settings.throttle.checkBytesPerSecond;
  return Math.max(...active.map((task) => throttleOf(task, state.settings).checkBytesPerSecond));
}
