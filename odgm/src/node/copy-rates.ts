import type { Clock, Timers } from '@oaas/commons/time';
import type { RateLimit } from '../mesh/index.ts';
import { ByteRate } from '../mesh/rate.ts';
import { isFinished, type MetaState } from '../meta/index.ts';
import { throttleOf } from '../tasks/index.ts';

/** Stands for copies that no task has asked for, such as of a replica that fell behind. */
const noTask = 0;

/**
 * Bytes a second that this node copies: each task that is under way has a quota of its own, which all its copies on this
 * node share; so a repair goes no slower for a throttled rebalance, and lifts no throttle. What no task has asked for goes
 * at the rate of repair. A rate that changes counts for copies under way at once. At most as many as there are tasks.
 */
export class CopyRates {
  readonly #options: { readonly clock: Clock; readonly timers: Timers };
  readonly #byTask = new Map<number, ByteRate>();
  /** Task that is changing a shard. */
  #tasks: ReadonlyMap<number, number> = new Map();

  constructor(options: { readonly clock: Clock; readonly timers: Timers }) {
    this.#options = options;
    this.#byTask.set(noTask, new ByteRate({ ...options, bytesPerSecond: Infinity }));
  }

  /** What meters copies of the shard, whatever task changes it at the time. */
  of(shard: number): RateLimit {
    return { take: (bytes, signal) => this.#rateOf(shard)?.take(bytes, signal) };
  }

  update({ tasks, shards, settings }: MetaState): void {
    const wanted = new Map([[noTask, settings.repairThrottle.bytesPerSecond]]);
    for (const task of tasks.values()) {
      if (!isFinished(task) && task.state !== 'planned') wanted.set(task.id, throttleOf(task, settings).bytesPerSecond);
    }
    for (const task of this.#byTask.keys()) if (!wanted.has(task)) this.#byTask.delete(task);
    for (const [task, bytesPerSecond] of wanted) {
      const rate = this.#byTask.get(task);
      if (rate === undefined) this.#byTask.set(task, new ByteRate({ ...this.#options, bytesPerSecond }));
      else rate.bytesPerSecond = bytesPerSecond;
    }
    this.#tasks = new Map(
      [...shards.values()].flatMap(({ id, change }) => (change === undefined ? [] : [[id, change.task] as const])),
    );
  }

  #rateOf(shard: number): ByteRate | undefined {
    return this.#byTask.get(this.#tasks.get(shard) ?? noTask) ?? this.#byTask.get(noTask);
  }
}
