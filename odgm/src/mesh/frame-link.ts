import type { FrameKind } from './frames.ts';
import type { Channel, MeshPayload } from './port.ts';

/** Where an exchange puts its frames. */
export interface FrameLink {
  /** Queues a frame; false, and nothing queued, when that would go over the bound of queued bytes. */
  offer(kind: FrameKind, channel: Channel, id: number, payload: MeshPayload): boolean;
  /** Queues a small frame that must not be lost, over the bound if need be. */
  force(kind: FrameKind, channel: Channel, id: number, payload: Uint8Array): void;
}
