import { Http2Error, http2Codes } from './codes.ts';
import { maxInt31, readUint32 } from './frames.ts';

/** Identifiers of RFC 9113 §6.5.2. */
export const settingIds = {
  HEADER_TABLE_SIZE: 0x1,
  ENABLE_PUSH: 0x2,
  MAX_CONCURRENT_STREAMS: 0x3,
  INITIAL_WINDOW_SIZE: 0x4,
  MAX_FRAME_SIZE: 0x5,
  MAX_HEADER_LIST_SIZE: 0x6,
} as const;

/** What the other side asked for; the values before its first SETTINGS are those of the RFC. */
export interface PeerSettings {
  headerTableSize: number;
  maxConcurrentStreams: number;
  initialWindowSize: number;
  maxFrameSize: number;
  maxHeaderListSize: number;
}

export function initialPeerSettings(): PeerSettings {
  return {
    headerTableSize: 4096,
    maxConcurrentStreams: maxInt31,
    initialWindowSize: 65_535,
    maxFrameSize: 16_384,
    maxHeaderListSize: maxInt31,
  };
}

/**
 * Applies the payload `bytes[start, end)` of a SETTINGS frame, in order. `onTableSize` is called for each value of
 * HEADER_TABLE_SIZE, since the least of several must be announced too (RFC 7541 §4.2). Unknown settings are ignored.
 */
export function applySettings(
  settings: PeerSettings,
  bytes: Uint8Array,
  start: number,
  end: number,
  peerIsServer: boolean,
  onTableSize: (size: number) => void,
): void {
  for (let at = start; at < end; at += 6) {
    const id = ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
    const value = readUint32(bytes, at + 2);
    switch (id) {
      case settingIds.HEADER_TABLE_SIZE:
        settings.headerTableSize = value;
        onTableSize(value);
        break;
      case settingIds.ENABLE_PUSH:
        if (value > 1 || (value === 1 && peerIsServer)) throw protocolError('ENABLE_PUSH is not valid');
        break;
      case settingIds.MAX_CONCURRENT_STREAMS:
        settings.maxConcurrentStreams = value;
        break;
      case settingIds.INITIAL_WINDOW_SIZE:
        if (value > maxInt31) throw new Http2Error(http2Codes.FLOW_CONTROL_ERROR, 'INITIAL_WINDOW_SIZE is over 2^31-1');
        settings.initialWindowSize = value;
        break;
      case settingIds.MAX_FRAME_SIZE:
        if (value < 16_384 || value > 0xffffff) throw protocolError('MAX_FRAME_SIZE is not between 2^14 and 2^24-1');
        settings.maxFrameSize = value;
        break;
      case settingIds.MAX_HEADER_LIST_SIZE:
        settings.maxHeaderListSize = value;
        break;
      default:
        break;
    }
  }
}

function protocolError(message: string): Http2Error {
  return new Http2Error(http2Codes.PROTOCOL_ERROR, message);
}
