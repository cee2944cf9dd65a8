import type { Socket } from 'node:net';
import { clientPreface } from '../../http2/index.ts';
import type { Clock } from '../../time/index.ts';

/** Another protocol on the port of a server. Its connections are told by their first bytes. */
export interface OtherProtocol {
  /** What its clients send first: at least one byte, and no beginning of HTTP/2's or another protocol's preface. */
  readonly preface: Uint8Array;
  /** With TLS: the name that its clients may offer (ALPN, RFC 7301). Clients that offer none are taken as well. */
  readonly alpn?: string | undefined;
  /**
   * Takes a connection over, after the TLS handshake where TLS is on. `head` is what has come so far, the preface first;
   * the socket is paused and has no listener left. Closing it is up to the new owner: the server's `drain` and `stop`
   * leave it alone.
   */
  readonly accept: (socket: Socket, head: Uint8Array) => void;
}

export interface PrefaceSorterOptions {
  readonly protocols: readonly OtherProtocol[];
  readonly clock: Clock;
  /** A connection that has not told its protocol by then is closed. */
  readonly waitMs: number;
  readonly http2: (socket: Socket, head: Uint8Array) => void;
  /** Called before the socket goes to its new owner. */
  readonly handedOver: (socket: Socket) => void;
}

/** Reads the first bytes of new connections, and no more than tell the protocols apart. */
export class PrefaceSorter {
  private readonly options: PrefaceSorterOptions;
  /** Since when, by the monotonic clock. */
  private readonly waiting = new Map<Socket, number>();

  constructor(options: PrefaceSorterOptions) {
    this.options = options;
  }

  /** @param mayBeHttp2 false: what is none of the other protocols is closed. */
  sort(socket: Socket, mayBeHttp2: boolean): void {
    const { clock, protocols, http2, handedOver } = this.options;
    let head: Uint8Array = new Uint8Array(0);
    const leave = (): void => {
      this.waiting.delete(socket);
      socket.off('data', onData).off('error', ignore).off('end', onEnd).off('close', leave);
    };
    const onEnd = (): void => {
      socket.destroy();
    };
    const onData = (chunk: Buffer): void => {
      head = head.length === 0 ? chunk : Buffer.concat([head, chunk]);
      const other = protocols.find(({ preface }) => begins(head, preface));
      if (other !== undefined) {
        leave();
        socket.pause();
        handedOver(socket);
        other.accept(socket, head);
        return;
      }
      if (protocols.some(({ preface }) => begins(preface, head))) return;
      if (mayBeHttp2) {
        leave();
        http2(socket, head);
      } else socket.destroy();
    };
    this.waiting.set(socket, clock.monotonic());
    socket.on('data', onData).on('error', ignore).on('end', onEnd).on('close', leave);
  }

  /** Closes what has waited for too long. About once a second. */
  tick(nowMs: number): void {
    for (const [socket, sinceMs] of this.waiting) if (nowMs - sinceMs > this.options.waitMs) socket.destroy();
  }
}

/** What is wrong with a setting of other protocols; undefined when nothing is. */
export function protocolsProblem(protocols: readonly OtherProtocol[]): string | undefined {
  const prefaces = [clientPreface, ...protocols.map(({ preface }) => preface)];
  const isAmbiguous = prefaces.some((one, i) => prefaces.some((other, j) => i !== j && begins(one, other)));
  return isAmbiguous ? 'a preface is empty or begins with another one' : undefined;
}

function begins(bytes: Uint8Array, start: Uint8Array): boolean {
  return bytes.length >= start.length && start.every((byte, i) => bytes[i] === byte);
}

function ignore(): void {
  // The error of a socket says nothing that its close does not.
}
