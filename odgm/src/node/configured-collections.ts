import { collectionOptionProblems } from '@oaas/commons/config';
import { toOaasError } from '@oaas/commons/errors';
import { canonical, type CollectionAsk, defaultShardType, deletedOf, type MetaGroup } from '../meta/index.ts';
import { checkOptions } from './collection.ts';
import { type RetryOptions, untilItWorks } from './retry.ts';

/** Collections that the configuration of this node asks for, and what the cluster says of them. */
export class ConfiguredCollections {
  readonly #options: RetryOptions;
  /** Those that the cluster refused, and why. */
  readonly #refused = new Map<string, string>();

  constructor(options: RetryOptions) {
    this.#options = options;
  }

  refusalOf(collection: string): string | undefined {
    return this.#refused.get(collection);
  }

  /** See {@link GridNode.putCollections}. */
  async put(meta: MetaGroup, asks: readonly CollectionAsk[], anew: readonly string[]): Promise<void> {
    for (const ask of asks) {
      const { name } = ask;
      const known = meta.state.collections.get(name)?.spec;
      if (
        known !== undefined &&
        canonical(known) === canonical({ ...ask, shardType: ask.shardType ?? known.shardType })
      ) {
        this.#refused.delete(name);
        continue;
      }
      await untilItWorks(this.#options, `put collection ${name}`, async () => {
        // This member may not have heard yet that the collection exists, and what its type is.
        const isBad = collectionOptionProblems(ask.options).length > 0;
        if (ask.shardType === undefined || isBad) await meta.catchUp();
        const kept = meta.state.collections.get(name)?.spec;
        const spec = { ...ask, shardType: ask.shardType ?? kept?.shardType ?? defaultShardType(ask.replicaCount) };
        try {
          // Bad ones that a former version took stay as they are, and do not hinder what else changes.
          if (kept === undefined || canonical(kept.options) !== canonical(ask.options)) checkOptions(ask);
          const isAnew = anew.includes(name) && deletedOf(meta.state, name) !== undefined;
          await meta.propose({ type: 'putCollection', spec, ...(isAnew ? { anew: true } : {}) }, this.#options.signal);
          this.#refused.delete(name);
        } catch (thrown) {
          const error = toOaasError(thrown);
          if (error.code === 'Unavailable' || error.code === 'NoLeader' || error.code === 'Cancelled') throw error;
          this.#options.logger.error(
            { err: error, collection: name },
            'the cluster refuses a collection of the configuration',
          );
          this.#refused.set(name, error.message);
        }
      });
    }
  }
}
