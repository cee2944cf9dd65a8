import type { Http2Bounds } from '../bounds.ts';
import type { Http2Error } from '../codes.ts';
import { Http2Connection } from '../connection.ts';
import type { Http2Events } from '../events.ts';
import type { FieldBlock } from '../field-block.ts';
import { clientPreface, frameTypes } from '../frames.ts';
import type { Stream } from '../stream.ts';
import { frameLines, join, rawFrame } from './frame-lines.ts';

/** For tests: a connection, a log of its events, and its output as lines. */
export class Peer implements Http2Events {
  readonly log: string[] = [];
  readonly connection: Http2Connection;
  error: Http2Error | undefined = undefined;
  /** Called with each event after it is logged. */
  onHeaders: ((stream: Stream, block: FieldBlock, end: boolean) => void) | undefined = undefined;
  onData: ((stream: Stream, length: number, end: boolean) => void) | undefined = undefined;
  nowMs = 0;

  constructor(role: 'server' | 'client', bounds: Partial<Http2Bounds> = {}) {
    this.connection = new Http2Connection({ role, events: this, nowMs: 0, bounds });
  }

  /** A server that has been greeted, its own greeting taken. */
  static server(bounds: Partial<Http2Bounds> = {}): Peer {
    const peer = new Peer('server', bounds);
    peer.receive(join(clientPreface, rawFrame(frameTypes.SETTINGS, 0, 0, []), rawFrame(frameTypes.SETTINGS, 1, 0, [])));
    peer.output();
    peer.log.length = 0;
    return peer;
  }

  static client(bounds: Partial<Http2Bounds> = {}): Peer {
    const peer = new Peer('client', bounds);
    peer.receive(join(rawFrame(frameTypes.SETTINGS, 0, 0, []), rawFrame(frameTypes.SETTINGS, 1, 0, [])));
    peer.output();
    peer.log.length = 0;
    return peer;
  }

  receive(...parts: readonly (Uint8Array | readonly number[])[]): this {
    this.connection.receive(join(...parts), this.nowMs);
    return this;
  }

  /** What waits to be sent, taken. */
  bytes(): Uint8Array {
    const pieces: Uint8Array[] = [];
    while (this.connection.outputSize > 0) {
      pieces.push(...this.connection.takeOutput());
      this.connection.flushed(false);
    }
    return join(...pieces);
  }

  output(): string[] {
    return frameLines(this.bytes());
  }

  headers(stream: Stream, block: FieldBlock, end: boolean): void {
    this.log.push(`headers ${stream.id}${end ? ' end' : ''}`);
    this.onHeaders?.(stream, block, end);
  }
  data(stream: Stream, _bytes: Uint8Array, start: number, stop: number, end: boolean): void {
    this.log.push(`data ${stream.id} ${stop - start}${end ? ' end' : ''}`);
    this.onData?.(stream, stop - start, end);
  }
  trailers(stream: Stream): void {
    this.log.push(`trailers ${stream.id}`);
  }
  reset(stream: Stream, code: number, by: string): void {
    this.log.push(`reset ${stream.id} ${code} by ${by}`);
  }
  drained(stream: Stream): void {
    this.log.push(`drained ${stream.id}`);
  }
  settings(): void {
    this.log.push('settings');
  }
  pong(): void {
    this.log.push('pong');
  }
  goaway(lastId: number, code: number): void {
    this.log.push(`goaway ${lastId} ${code}`);
  }
  idle(): void {
    this.log.push('idle');
  }
  closed(error: Http2Error | undefined): void {
    this.error = error;
    this.log.push('closed');
  }
}
