/** Peer links: the port. The adapter over sockets (`./tcp-mesh.ts`) is chosen by the composition root only. */
export { channels } from './channels.ts';
export type {
  CallContext,
  Channel,
  LinkEvent,
  Mesh,
  MeshIdentity,
  MeshPayload,
  MeshPeer,
  MeshStream,
  MessageHandler,
  PeerStatus,
  RateLimit,
  Refusal,
  RefusalReason,
  RequestHandler,
  RequestOptions,
  StreamHandler,
  StreamOptions,
} from './port.ts';
