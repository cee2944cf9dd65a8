import type { AuditRecordView } from '@oaas/commons/client/pm';
import { type Clock, type Random, randomHex, toRfc3339 } from '@oaas/commons/time';
import type { Store } from '../../store/index.ts';

/** Records that are kept; older ones are deleted. */
const recordsMax = 10_000;
/** Records that are listed: the newest ones. */
export const auditShown = 1000;

export type AuditEntry = Omit<AuditRecordView, 'id' | 'at'>;

/** Who did what, when, from where, and how it ended. Written before the call is answered. */
export class AuditLog {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #records: AuditRecordView[] = [];

  private constructor(options: { readonly store: Store; readonly clock: Clock; readonly random: Random }) {
    this.#store = options.store;
    this.#clock = options.clock;
    this.#random = options.random;
  }

  static async load(options: {
    readonly store: Store;
    readonly clock: Clock;
    readonly random: Random;
  }): Promise<AuditLog> {
    const log = new AuditLog(options);
    let cursor: string | undefined;
    do {
      const page = await options.store.list({ prefix: 'audit/', ...(cursor === undefined ? {} : { cursor }) });
      log.#records.push(...page.entries.map((entry) => entry.value as unknown as AuditRecordView));
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    return log;
  }

  async record(entry: AuditEntry): Promise<void> {
    const now = this.#clock.now();
    const id = `${now.toString(36).padStart(9, '0')}-${randomHex(this.#random, 4)}`;
    const record: AuditRecordView = { id, at: toRfc3339(now), ...entry };
    const expired = this.#records.splice(0, Math.max(0, this.#records.length + 1 - recordsMax));
    this.#records.push(record);
    await this.#store.transaction({
      put: { [`audit/${id}`]: record },
      delete: expired.map((each) => `audit/${each.id}`),
    });
  }

  /** The newest first. */
  recent(): readonly AuditRecordView[] {
    return this.#records.slice(-auditShown).reverse();
  }
}
