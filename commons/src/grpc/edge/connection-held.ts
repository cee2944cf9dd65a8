import type { OaasError } from '../../errors/index.ts';
import { http2Codes, type Http2Connection } from '../../http2/index.ts';
import { callOf } from './collecting.ts';
import { HeldBytes } from './held-bytes.ts';
import type { Holder } from './held-total.ts';
import type { ServerSetting } from './responder.ts';
import type { ServerCall } from './server-call.ts';

/** What one connection of a server holds for its calls, and its part in what all of them hold. */
export class ConnectionHeld implements Holder {
  counted = 0;
  private readonly http2: Http2Connection;
  private readonly setting: ServerSetting;
  private readonly interrupt: (call: ServerCall, error: OaasError) => void;
  private readonly requests: HeldBytes;
  /** DATA that waited to be sent when it was last looked at. */
  private queued = 0;

  /** @param interrupt answers a call with an error from outside of its handler. */
  constructor(http2: Http2Connection, setting: ServerSetting, interrupt: (call: ServerCall, error: OaasError) => void) {
    this.http2 = http2;
    this.setting = setting;
    this.interrupt = interrupt;
    this.requests = new HeldBytes(setting.heldBytesMax);
  }

  /** Bytes of requests that a connection holds are bounded: the call that passes the bound is refused. */
  hold(call: ServerCall, bytes: number): void {
    if (bytes < 0) {
      this.release(call, -bytes);
      return;
    }
    if (call.isOver) return;
    call.held += bytes;
    const fits = this.requests.add(bytes);
    this.setting.held.count(this, bytes);
    if (!fits) this.interrupt(call, this.requests.overflow());
  }

  /** Counts what a handler keeps until the end of its call. */
  keep(call: ServerCall, bytes: number): void {
    if (call.isOver) return;
    call.kept += bytes;
    this.setting.held.count(this, bytes);
  }

  /** The call is over: gives back what was counted for it. */
  ended(call: ServerCall): void {
    if (call.held > 0) this.release(call, call.held);
    if (call.kept === 0) return;
    const { kept } = call;
    call.kept = 0;
    this.setting.held.count(this, -kept);
  }

  /** Counts the answers that wait, at the end of each turn. */
  countQueued(): void {
    const { queuedBytes } = this.http2;
    if (queuedBytes === this.queued) return;
    const more = queuedBytes - this.queued;
    this.queued = queuedBytes;
    this.setting.held.count(this, more);
  }

  shed(error: OaasError): void {
    const { http2 } = this;
    let most = 0;
    let id = 0;
    http2.forEachStream((stream) => {
      const call = callOf(stream.context);
      const bytes = stream.queuedBytes + (call === undefined ? 0 : call.held + call.kept);
      if (bytes <= most) return;
      most = bytes;
      id = stream.id;
    });
    const stream = http2.stream(id);
    if (stream === undefined) return;
    const call = callOf(stream.context);
    const isQueued = stream.queuedBytes > 0;
    if (call !== undefined) this.interrupt(call, error);
    // Its status would wait behind what nobody reads: this code is RESOURCE_EXHAUSTED to gRPC.
    if (isQueued) http2.reset(id, http2Codes.ENHANCE_YOUR_CALM);
    this.countQueued();
  }

  /** Gives back what {@link hold} counted; at most what the call still has. */
  private release(call: ServerCall, bytes: number): void {
    const freed = Math.min(bytes, call.held);
    call.held -= freed;
    this.requests.add(-freed);
    this.setting.held.count(this, -freed);
  }
}
