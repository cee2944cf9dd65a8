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
  /** Why the grid does not have a collection as it was applied, or as it was when the node started. */
  readonly refusalOf: (collection: string) => string | undefined;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
}

export type ChangedSettings = Readonly<Record<ConfigChange['effect'], readonly string[]>>;

/** What became of the file since the start. */
export interface ConfigStatus {
  readonly file: string;
  /** Milliseconds since the epoch; when the node last took over a change. Absent while it runs as it was started. */
  readonly changedAt?: number | undefined;
  /** What the last change was made of, by name. Absent as {@link changedAt}. */
  readonly changed?: ChangedSettings | undefined;
  /** What the grid refuses of the configuration, and why; everything else of it counts. */
  readonly refused: readonly { readonly setting: string; readonly reason: string }[];
  /** Settings that count only after another start. */
  readonly needsRestart: readonly string[];
  /** Why the file as it is now was refused, and the node goes on with what it had; or what the grid refuses of it. */
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
  #changed: ChangedSettings | undefined;
  #problem: string | undefined;

  constructor(options: ConfigWatchOptions) {
    this.#options = options;
    this.#started = options.running;
    this.#running = options.running;
  }

  get status(): ConfigStatus {
    const changes = compareConfigs(this.#started, this.#running);
    const refused = this.#refused();
    const refusal = refused.map(({ setting, reason }) => `${setting}: ${reason}`).join('; ');
    return {
      file: this.#options.file,
      changedAt: this.#changedAt,
      changed: this.#changed,
      refused,
      needsRestart: changes.filter(({ effect }) => effect === 'restart').map(({ setting }) => setting),
      problem: this.#problem ?? (refusal === '' ? undefined : refusal),
    };
  }

  #refused(): ConfigStatus['refused'] {
    return this.#running.collections.flatMap(({ name }) => {
      const reason = this.#options.refusalOf(name);
      return reason === undefined ? [] : [{ setting: `collections.${name}`, reason }];
    });
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
    const { load, apply, refusalOf, clock, logger, file } = this.#options;
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
    const changed = new Set(changedCollections(this.#running.collections, next.collections));
    // What was refused may do by now, or is again as the grid has it.
    const again = next.collections.filter((one) => changed.has(one) || refusalOf(one.name) !== undefined);
    await apply(again, added);
    this.#running = next;
    this.#changedAt = clock.now();
    const refused = new Set(this.#refused().map(({ setting }) => setting));
    this.#changed = byEffect(changes.map((one) => (refused.has(one.setting) ? { ...one, effect: 'refused' } : one)));
    logger.info({ file, ...this.#changed }, 'the configuration has changed');
  }

  #refuse(error: Error): void {
    if (this.#problem === error.message) return;
    this.#problem = error.message;
    const { logger, file } = this.#options;
    logger.error({ err: error, file }, 'the changed configuration is refused; the node goes on with what it had');
  }
}

function byEffect(changes: readonly ConfigChange[]): ChangedSettings {
  const of = (effect: ConfigChange['effect']): string[] =>
    changes.filter((change) => change.effect === effect).map(({ setting }) => setting);
  return { applied: of('applied'), restart: of('restart'), kept: of('kept'), refused: of('refused') };
}
