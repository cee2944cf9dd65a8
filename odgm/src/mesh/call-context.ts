import { type OaasError, oaasError } from '@oaas/commons/errors';
import type { CancelSignal } from '@oaas/commons/time';
import type { CallContext, MeshIdentity } from './port.ts';

/** A call of the other end that its handler works on. The signal is made when it is asked for: most handlers never do. */
export class InboundCall implements CallContext {
  readonly peer: MeshIdentity;
  /** Of the payload, which the handler may hold. */
  readonly bytes: number;
  /** True once nobody waits for the answer. */
  isAborted = false;
  private controller: AbortController | undefined = undefined;
  private why: OaasError | undefined = undefined;

  constructor(peer: MeshIdentity, bytes: number) {
    this.peer = peer;
    this.bytes = bytes;
  }

  get signal(): CancelSignal {
    this.controller ??= new AbortController();
    if (this.isAborted) this.controller.abort(this.why);
    return this.controller.signal;
  }

  abort(why: OaasError = oaasError('Cancelled', 'the caller gave up')): void {
    if (this.isAborted) return;
    this.isAborted = true;
    this.why = why;
    this.controller?.abort(why);
  }
}
