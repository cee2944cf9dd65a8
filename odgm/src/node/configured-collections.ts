import { toOaasError } from '@oaas/commons/errors';
import { type CollectionSpec, deletedOf, type MetaGroup } from '../meta/index.ts';
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
  async put(meta: MetaGroup, specs: readonly CollectionSpec[], anew: readonly string[]): Promise<void> {
    for (const spec of specs) {
      const known = meta.state.collections.get(spec.name);
      if (known !== undefined && JSON.stringify(known.spec) === JSON.stringify(spec)) {
        this.#refused.delete(spec.name);
        continue;
      }
      await untilItWorks(this.#options, `put collection ${spec.name}`, async () => {
        try {
          const isAnew = anew.includes(spec.name) && deletedOf(meta.state, spec.name) !== undefined;
          await meta.propose({ type: 'putCollection', spec, ...(isAnew ? { anew: true } : {}) }, this.#options.signal);
          this.#refused.delete(spec.name);
        } catch (thrown) {
          const error = toOaasError(thrown);
          if (error.code === 'Unavailable' || error.code === 'NoLeader' || error.code === 'Cancelled') throw error;
          this.#options.logger.error(
            { err: error, collection: spec.name },
            'the cluster refuses a collection of the configuration',
          );
          this.#refused.set(spec.name, error.message);
        }
      });
    }
  }
}
