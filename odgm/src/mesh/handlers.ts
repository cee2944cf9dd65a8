import { invariant } from '@oaas/commons/errors';
import { channelMax } from './frames.ts';
import type { Channel, MessageHandler, RequestHandler, StreamHandler } from './port.ts';

/** What a member does with what comes, by channel. */
export class Handlers {
  readonly messages = new Map<Channel, MessageHandler>();
  readonly requests = new Map<Channel, RequestHandler>();
  readonly streams = new Map<Channel, StreamHandler>();

  onMessage(channel: Channel, handler: MessageHandler): void {
    register(this.messages, channel, handler);
  }

  onRequest(channel: Channel, handler: RequestHandler): void {
    register(this.requests, channel, handler);
  }

  onStream(channel: Channel, handler: StreamHandler): void {
    register(this.streams, channel, handler);
  }
}

function register<H>(handlers: Map<Channel, H>, channel: Channel, handler: H): void {
  invariant(Number.isInteger(channel) && channel >= 0 && channel <= channelMax, 'a channel is a number of 16 bits');
  invariant(!handlers.has(channel), `channel ${channel} of the mesh has one handler`);
  handlers.set(channel, handler);
}
