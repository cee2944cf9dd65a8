'use strict';
/**
 * Preloaded into every process that the sandbox starts (node --require). File descriptor 3 is the reading end of a pipe
 * whose other end the sandbox holds: when that closes, however the sandbox ended, this process ends too.
 */
const { isMainThread } = require('node:worker_threads');

if (isMainThread && process.env.OAAS_SANDBOX_TETHER === '3') {
  // Not for the children of this process: their descriptor 3 is something else.
  delete process.env.OAAS_SANDBOX_TETHER;
  const { Socket } = require('node:net');
  const tether = new Socket({ fd: 3, readable: true, writable: false });
  tether.once('error', () => {});
  tether.once('close', () => {
    process.kill(process.pid, 'SIGTERM');
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), 3000).unref();
  });
  tether.resume();
  tether.unref();
}
