'use strict';
/**
 * Preloaded into the nodes of a chaos run (node --require). A message `{ flushMs }` makes the disk slow: whatever waits for
 * the disk takes so much longer from then on, also what is under way. That is a flush, and a write to a file that was
 * opened so that each write is one (O_DSYNC), as the journal is on Linux. And a node ends when the run does, however that
 * ended.
 */
const fs = require('node:fs');
const { syncBuiltinESMExports } = require('node:module');

const { O_DSYNC = 0 } = fs.constants;
let flushMs = 0;
/** Descriptors whose writes are flushes. */
const durable = new Set();

/** `change` gets the callback, if there is one, and the other arguments, and gives another callback. */
function wrap(name, change) {
  const original = fs[name];
  const wrapped = (...given) => {
    const done = given.at(-1);
    if (typeof done === 'function') given[given.length - 1] = change(done, given);
    return original(...given);
  };
  // Some say how they are made into promises.
  fs[name] = Object.defineProperties(wrapped, Object.getOwnPropertyDescriptors(original));
}

const late =
  (done) =>
  (...results) => {
    if (flushMs === 0) done(...results);
    else setTimeout(done, flushMs, ...results);
  };

wrap('open', (done, [, flags]) => (error, descriptor) => {
  if (error === null && typeof flags === 'number' && O_DSYNC !== 0 && (flags & O_DSYNC) === O_DSYNC) {
    durable.add(descriptor);
  }
  done(error, descriptor);
});
wrap('close', (done, [descriptor]) => {
  durable.delete(descriptor);
  return done;
});
wrap('fdatasync', (done) => late(done));
for (const name of ['write', 'writev']) {
  wrap(name, (done, [descriptor]) => (durable.has(descriptor) ? late(done) : done));
}
syncBuiltinESMExports();

process.on('message', (message) => {
  flushMs = message.flushMs;
});
process.on('disconnect', () => process.exit(1));
process.channel?.unref();
