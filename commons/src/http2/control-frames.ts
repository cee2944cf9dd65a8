import type { Http2Bounds } from './bounds.ts';
import { clientPreface, frameFlags, frameTypes } from './frames.ts';
import type { Output } from './output.ts';
import { settingIds } from './settings.ts';

/** The preface (of a client), our SETTINGS, and the window of the connection, which SETTINGS do not change. */
export function writeGreeting(output: Output, role: 'server' | 'client', bounds: Http2Bounds): void {
  if (role === 'client') output.bytes(clientPreface);
  const settings: number[] = [settingIds.INITIAL_WINDOW_SIZE, bounds.streamWindowBytes];
  settings.push(settingIds.MAX_HEADER_LIST_SIZE, bounds.headerListBytesMax);
  if (role === 'server') settings.push(settingIds.MAX_CONCURRENT_STREAMS, bounds.streamsMax);
  else settings.push(settingIds.ENABLE_PUSH, 0);
  if (bounds.headerTableBytesMax !== 4096) settings.push(settingIds.HEADER_TABLE_SIZE, bounds.headerTableBytesMax);
  if (bounds.frameBytesMax !== 16_384) settings.push(settingIds.MAX_FRAME_SIZE, bounds.frameBytesMax);
  output.frame(settings.length * 3, frameTypes.SETTINGS, 0, 0);
  for (let i = 0; i < settings.length; i += 2) {
    output.uint16(settings[i] as number);
    output.uint32(settings[i + 1] as number);
  }
  if (bounds.connectionWindowBytes > 65_535) writeWindowUpdate(output, 0, bounds.connectionWindowBytes - 65_535);
}

export function writeSettingsAck(output: Output): void {
  output.frame(0, frameTypes.SETTINGS, frameFlags.ACK, 0);
}

export function writeWindowUpdate(output: Output, id: number, increment: number): void {
  output.frame(4, frameTypes.WINDOW_UPDATE, 0, id);
  output.uint32(increment);
}

export function writeReset(output: Output, id: number, code: number): void {
  output.frame(4, frameTypes.RST_STREAM, 0, id);
  output.uint32(code);
}

/** @param debug ASCII text for whoever reads the trace. */
export function writeGoaway(output: Output, lastId: number, code: number, debug: string): void {
  output.frame(8 + debug.length, frameTypes.GOAWAY, 0, 0);
  output.uint32(lastId);
  output.uint32(code);
  output.bytes(Uint8Array.from(debug, (c) => c.charCodeAt(0)));
}

/** Eight bytes of `payload` from `at`. */
export function writePing(output: Output, flags: number, payload: Uint8Array, at: number): void {
  output.frame(8, frameTypes.PING, flags, 0);
  output.bytes(payload, at, at + 8);
}
