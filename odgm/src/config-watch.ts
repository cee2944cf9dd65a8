import { isOaasError, toOaasError } from '@oaas/commons/errors';
import type { Logger } from '@oaas/commons/telemetry';
import type { Clock, Timer, Timers } from '@oaas/commons/time';
import { changedCollections, compareConfigs, type ConfigChange } from './config-changes.ts';
import type { OdgmConfig } from './config.ts';

/** Where the configuration of a running node may change. */
export interface ConfigSource {
  /** Path of the file, for messages. */
  readonly file: string;
  /** The text of the file as it is now. */
  readonly read: () => Promise<string>;
  /** The whole configuration as it is now, with environment and flags. Throws `ConfigInvalid`. */
  readonly load: () => OdgmConfig;
}

export interface ConfigWatchOptions extends ConfigSource {
  /** What the node was started with. */
  readonly running: OdgmConfig;
  /** Takes collections that are new or other than before, and the names of those that are new. */
  readonly apply: (collections: OdgmConfig['collections'], added: readonly string[]) => Promise<void>;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
}

/** What became of the file since the start. */
export interface ConfigStatus {
  readonly file: string;
  /** Milliseconds since the epoch; when the node last took over a change. Absent while it runs as it was started. */
  readonly changedAt?: number | undefined;
  /** Settings that count only after another start. */
  readonly needsRestart: readonly string[];
  /** Why the file as it is now was refused; the node goes on with what it had. */
  readonly problem?: string | undefined;
}

/** How often the file is looked at. A ConfigMap's volume is itself a minute behind, so that more often helps nobody. */
const lookMs = 2000;

/**
 * Looks whether the configuration file changes, as the volume of a ConfigMap does when the ConfigMap is edited. A good
 * change is applied as far as a running node can; a bad one is refused as a whole, said in the log once, and what was
 * keeps counting. Polls: volumes of ConfigMaps are exchanged by renaming a folder above the file, which watches of the
 * file do not see.
 */
export class ConfigWatch {
  readonly #options: ConfigWatchOptions;
  readonly #started: OdgmConfig;
  #running: OdgmConfig;
  #text: string | undefined;
  #timer: Timer | undefined;
  #isLooking = false;
  #changedAt: number | undefined;
  #problem: string | undefined;

  constructor(options: ConfigWatchOptions) {
    this.#options = options;
    this.#started = options.running;
    this.#running = options.running;
  }

  get status(): ConfigStatus {
    const changes = compareConfigs(this.#started, this.#running);
    return {
      file: this.#options.file,
      changedAt: this.#changedAt,
      needsRestart: changes.filter(({ effect }) => effect === 'restart').map(({ setting }) => setting),
      problem: this.#problem,
    };
  }

  start(): void {
    this.#timer ??= this.#options.timers.every(lookMs, () => void this.look());
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** Looks at the file now. Never rejects. */
  async look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      const text = await this.#options.read();
      if (text === this.#text) return;
      await this.#take();
      // Only now: what could not be applied is tried again.
      this.#text = text;
    } catch (thrown) {
      this.#text = undefined;
      this.#refuse(toOaasError(thrown));
    } finally {
      this.#isLooking = false;
    }
  }

  async #take(): Promise<void> {
    const { load, apply, clock, logger, file } = this.#options;
    let next: OdgmConfig;
    try {
      next = load();
    } catch (thrown) {
      if (!isOaasError(thrown, 'ConfigInvalid')) throw thrown;
      this.#refuse(thrown);
      return;
    }
    this.#problem = undefined;
    const changes = compareConfigs(this.#running, next);
    if (changes.length === 0) return;
    const before = new Set(this.#running.collections.map(({ name }) => name));
    const added = next.collections.map(({ name }) => name).filter((name) => !before.has(name));
    await apply(changedCollections(this.#running.collections, next.collections), added);
    this.#running = next;
    this.#changedAt = clock.now();
    logger.info({ file, ...byEffect(changes) }, 'the configuration has changed');
  }

  #refuse(error: Error): void {
    if (this.#problem === error.message) return;
    this.#problem = error.message;
    const { logger, file } = this.#options;
    logger.error({ err: error, file }, 'the changed configuration is refused; the node goes on with what it had');
  }
}

function byEffect(changes: readonly ConfigChange[]): Record<ConfigChange['effect'], string[]> {
  const of = (effect: ConfigChange['effect']): string[] =>
    changes.filter((change) => change.effect === effect).map(({ setting }) => setting);
  return { applied: of('applied'), restart: of('restart'), kept: of('kept') };
}
