import { oaasError } from '../../errors/index.ts';
import type { ClientCall } from './client-call.ts';
import type { ClientConnection } from './client-connection.ts';

/** A request as it goes on the wire. */
export interface EncodedRequest {
  readonly payload: Uint8Array;
  readonly isCompressed: boolean;
}

export interface RequestEncoder {
  readonly path: string;
  encode(request: unknown): EncodedRequest;
}

/** Lets the one who sends wait until there is room. */
export class Drains {
  private resume: (() => void) | undefined = undefined;

  wait(): Promise<void> {
    return new Promise((resolve) => {
      this.resume = resolve;
    });
  }

  release(): void {
    this.resume?.();
    this.resume = undefined;
  }
}

/** Sends the requests of a call as fast as the server takes them. When they break off, so does the call. */
export async function sendAll(
  call: ClientCall,
  connection: ClientConnection,
  id: number,
  requests: AsyncIterable<unknown>,
  encoder: RequestEncoder,
  drains: Drains,
): Promise<void> {
  try {
    for await (const request of requests) {
      if (isOver(call)) return;
      const { payload, isCompressed } = encoder.encode(request);
      if (!connection.sendMessage(id, payload, isCompressed, false)) await drains.wait();
      if (isOver(call)) return;
    }
    connection.sendEnd(id);
  } catch (error) {
    call.cancel(oaasError('Internal', `the requests of ${encoder.path} broke off`, { cause: error }));
  }
}

/** Looks at the field anew after an await, which the compiler does not. */
function isOver(call: ClientCall): boolean {
  return call.isOver;
}
