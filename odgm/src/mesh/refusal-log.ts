import type { Logger } from '@oaas/commons/telemetry';
import { Listeners } from './listeners.ts';
import type { MeshIdentity, Refusal } from './port.ts';

/** Refusals that are remembered as told; when there are more, all are forgotten, and may be told again. */
const toldMax = 1024;

/** Tells of each refusal once, however often the other end tries again. */
export class RefusalLog {
  readonly listeners = new Listeners<Refusal>();
  private readonly logger: Pick<Logger, 'warn'>;
  private readonly told = new Map<string, Set<string>>();

  constructor(logger: Pick<Logger, 'warn'>) {
    this.logger = logger;
  }

  refused(refusal: Refusal): void {
    const { peer, reason, message, byPeer, clusterId } = refusal;
    const key = keyOf(peer);
    const told = this.told.get(key) ?? new Set<string>();
    // Either end may dial: which one refused is no news.
    const what = `${reason} ${clusterId ?? ''}`;
    if (told.has(what)) return;
    if (this.told.size >= toldMax) this.told.clear();
    this.told.set(key, told.add(what));
    this.logger.warn({ peer: peer.id, number: peer.number, reason, byPeer, detail: message }, 'peer link refused');
    this.listeners.emit(refusal);
  }

  /** There is a link: a later refusal is news. */
  forget(peer: MeshIdentity): void {
    this.told.delete(keyOf(peer));
  }
}

function keyOf({ number, id }: MeshIdentity): string {
  return `${number} ${id}`;
}
