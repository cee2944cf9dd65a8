import type { Server } from '@grpc/grpc-js';
import type { EventEmitter } from 'node:events';
import { invariant } from '../../errors/index.ts';
import { flowWindowBytes } from '../limits.ts';

interface ServerParts {
  readonly commonServerOptions?: { settings?: Record<string, number> };
  readonly http2Servers?: ReadonlyMap<EventEmitter, unknown>;
}

interface Session {
  setLocalWindowSize(bytes: number): void;
  destroy(): void;
  once(event: 'close', listener: () => void): unknown;
}

/**
 * A grpc-js server keeps HTTP/2's initial windows of 64 KiB: with some hundred calls on one connection, streams starve
 * and the slowest calls take seconds. grpc-js has an option for its client only, so the functions here reach into the
 * server. They fail loudly if a new version of grpc-js keeps its parts elsewhere.
 */
export function widenStreamWindow(server: Server): void {
  const options = (server as unknown as ServerParts).commonServerOptions;
  invariant(options !== undefined, 'grpc-js keeps its HTTP/2 options elsewhere');
  options.settings = { ...options.settings, initialWindowSize: flowWindowBytes };
}

/**
 * Widens the window of each connection, and gives what cuts all of them off: without channelz, grpc-js's own
 * forceShutdown leaves connections open. To be called when the server has been bound.
 */
export function ownConnections(server: Server): { cutOff: () => void } {
  const servers = (server as unknown as ServerParts).http2Servers;
  invariant(servers !== undefined && servers.size > 0, 'grpc-js keeps its HTTP/2 servers elsewhere');
  const sessions = new Set<Session>();
  for (const http2Server of servers.keys()) {
    http2Server.on('session', (session: Session) => {
      session.setLocalWindowSize(flowWindowBytes);
      sessions.add(session);
      session.once('close', () => sessions.delete(session));
    });
  }
  return {
    cutOff: () => {
      for (const session of sessions) session.destroy();
    },
  };
}
