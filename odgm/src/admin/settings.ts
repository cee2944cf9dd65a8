import { oaasError } from '@oaas/commons/errors';
import { z } from 'zod';
import { changedSettings, invalidSettings, type Settings, type Throttle } from '../meta/index.ts';
import type { GridNode } from '../node/index.ts';
import { metaOf } from './meta-of.ts';
import { camelCase } from './json.ts';

const throttle = z.strictObject({
  movesPerNode: z.int().min(0).optional().describe('Moves at once that a node takes part in.'),
  movesPerCluster: z.int().min(0).optional().describe('Moves at once.'),
  leaderMoves: z.int().min(0).optional().describe('Moves of leadership at once.'),
  bytesPerSecond: z.int().min(65_536).optional().describe('Bytes a second that a node sends, and takes in.'),
  checks: z.int().min(0).optional().describe('Checks at once.'),
  checkBytesPerSecond: z.int().min(65_536).optional().describe('Bytes a second that a node reads for checks.'),
} satisfies Record<keyof Throttle, z.ZodType>);

/** Settings of the whole grid, as configuration and administrators ask for them. What is not named stays. */
export const settingsSchema = z.strictObject({
  autoRebalance: z
    .enum(['off', 'suggest', 'on'])
    .optional()
    .describe('What a lasting imbalance, or a node that joined, leads to. Default: suggest.'),
  nodeDownMs: z.int().min(1000).optional().describe('A node that is down for longer is repaired away. Default: 60000.'),
  rebalanceBelow: z.number().min(0).max(1).optional().describe('Balance below which to rebalance. Default: 0.85.'),
  rebalanceUntil: z.number().min(0).max(1).optional().describe('Balance that is enough. Default: 0.95.'),
  checkEveryMs: z
    .int()
    .min(0)
    .optional()
    .describe('All shards are checked when they were not for so long; 0: never. Default: 86400000, a day.'),
  metaReplicas: z.int().min(1).max(7).optional().describe('Voters of the meta group: 1, 3, 5 or 7. Default: 3.'),
  throttle: throttle.optional().describe('Bounds of tasks that people or balance asked for.'),
  repairThrottle: throttle.optional().describe('Bounds of repair.'),
} satisfies Record<keyof Settings, z.ZodType>);

/** Settings of the grid, as administrators see and change them. Any node answers. */
export class GridSettings {
  readonly #node: GridNode;

  constructor(node: GridNode) {
    this.#node = node;
  }

  /** As this node knows them, which may be a moment old. Throws `Unavailable`. */
  get(): Settings {
    return metaOf(this.#node).state.settings;
  }

  /**
   * Changes what is named, at once and on all nodes, also for tasks under way that have no bounds of their own. Throws
   * `InvalidArgument`.
   */
  async change(asked: unknown): Promise<Settings> {
    const ask = settingsSchema.safeParse(camelCase(asked));
    if (!ask.success) {
      const [issue] = ask.error.issues;
      throw invalid(`${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'no settings'}`);
    }
    const meta = metaOf(this.#node);
    await meta.catchUp();
    const settings = changedSettings(meta.state.settings, ask.data);
    if (Object.keys(settings).length === 0) throw invalid('nothing to change is named');
    const problem = invalidSettings({ ...meta.state.settings, ...settings });
    if (problem !== undefined) throw invalid(problem);
    await meta.propose({ type: 'setSettings', settings });
    await meta.catchUp();
    return meta.state.settings;
  }
}

function invalid(message: string): Error {
  return oaasError('InvalidArgument', message, {
    remedy: 'Send what is to change, named as in GET /admin/settings, such as {"auto_rebalance": "on"}.',
  });
}
