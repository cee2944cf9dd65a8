'use strict';
/**
 * Preloaded into the nodes of a chaos run (node --require). A message `{ flushMs }` makes the disk slow: every flush of the
 * journal takes so much longer from then on, also those under way. And a node ends when the run does, however that ended.
 */
const fs = require('node:fs');
const { syncBuiltinESMExports } = require('node:module');

let flushMs = 0;
const { fdatasync } = fs;
fs.fdatasync = (descriptor, done) => {
  fdatasync(descriptor, (error) => {
    if (flushMs === 0) done(error);
    else setTimeout(done, flushMs, error);
  });
};
syncBuiltinESMExports();

process.on('message', (message) => {
  flushMs = message.flushMs;
});
process.on('disconnect', () => process.exit(1));
process.channel?.unref();
