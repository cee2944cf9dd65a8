// Puts what the browser loads beside the standalone server: `next build` leaves that to whoever ships it.
import { cp, access } from 'node:fs/promises';
import path from 'node:path';

const console_ = path.join(import.meta.dirname, '..');
const server = path.join(console_, '.next', 'standalone', 'console');

await access(path.join(server, 'server.js')).catch(() => {
  process.stderr.write('There is no standalone server yet: run `npx next build` in console/ first.\n');
  process.exit(1);
});
await cp(path.join(console_, '.next', 'static'), path.join(server, '.next', 'static'), {
  recursive: true,
  force: true,
});
await cp(path.join(console_, 'public'), path.join(server, 'public'), { recursive: true, force: true }).catch(
  (error) => {
    if (error.code !== 'ENOENT') throw error;
  },
);
