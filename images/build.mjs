// npm run images [-- --archive DIR] [-- NAME …]
// Builds the container images with docker, podman or buildah, whichever is there (in that order), from bundles that are built here first.
// `--archive DIR` also writes each image as an OCI or docker archive, for `kind load image-archive` and the like.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Every image: its bundle in dist/ and the packages that a bundle cannot hold because they are native. */
const images = [
  { name: 'oaas/odgm:dev', file: 'odgm.Containerfile', bundle: 'odgm.mjs', native: ['lmdb'] },
  { name: 'oaas/example-hello:1', file: 'function.Containerfile', bundle: 'functions/hello.mjs', native: [] },
  { name: 'oaas/example-counter:1', file: 'function.Containerfile', bundle: 'functions/counter.mjs', native: [] },
  { name: 'oaas/example-chat-room:1', file: 'function.Containerfile', bundle: 'functions/chat-room.mjs', native: [] },
  { name: 'oaas/example-chat-user:1', file: 'function.Containerfile', bundle: 'functions/chat-user.mjs', native: [] },
];

function fail(message) {
  console.error(`images: ${message}`);
  process.exit(1);
}

/** docker's client may be there without its engine, so ask for what needs the engine. */
function findEngine() {
  const works = (command, ...args) => spawnSync(command, args, { stdio: 'ignore' }).status === 0;
  if (works('docker', 'info')) return 'docker';
  if (works('podman', 'info')) return 'podman';
  if (works('buildah', '--version')) return 'buildah';
  return fail('none of docker, podman and buildah works here; install one of them');
}

function run(command, args, cwd = root) {
  const { status, error } = spawnSync(command, args, { cwd, stdio: 'inherit' });
  if (status !== 0) fail(`${command} ${args[0]} failed${error === undefined ? '' : `: ${error.message}`}`);
}

function stage(image) {
  const context = mkdtempSync(join(tmpdir(), 'oaas-image-'));
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  const dependencies = Object.fromEntries(
    image.native.map((name) => [name, lock.packages[`node_modules/${name}`].version]),
  );
  writeFileSync(join(context, 'package.json'), JSON.stringify({ type: 'module', private: true, dependencies }));
  cpSync(join(root, 'dist', image.bundle), join(context, 'program.mjs'));
  cpSync(join(root, 'images', image.file), join(context, 'Containerfile'));
  if (image.native.length > 0) {
    // The image is Linux whatever this machine is.
    run(
      'npm',
      [
        'install',
        '--omit=dev',
        '--no-package-lock',
        '--no-audit',
        '--silent',
        '--ignore-scripts',
        '--os=linux',
        `--cpu=${process.arch}`,
        '--libc=glibc',
      ],
      context,
    );
  }
  return context;
}

function build(engine, image, archiveDir) {
  const context = stage(image);
  try {
    const args = ['-f', join(context, 'Containerfile'), '-t', image.name, context];
    // docker and podman take a base image that is here already; buildah must be told to.
    run(engine, engine === 'buildah' ? ['bud', '--pull=false', ...args] : ['build', ...args]);
    if (archiveDir !== undefined) {
      const file = join(archiveDir, `${image.name.replace(/[/:]/g, '-')}.tar`);
      rmSync(file, { force: true });
      // Full names, since that is what `image: oaas/x:1` in a manifest resolves to.
      const full = `docker.io/${image.name}`;
      if (engine === 'buildah') run('buildah', ['push', image.name, `oci-archive:${file}:${full}`]);
      else run(engine, ['save', '-o', file, image.name]);
      console.log(`images: ${image.name} -> ${file}`);
    }
  } finally {
    rmSync(context, { recursive: true, force: true });
  }
}

const args = process.argv.slice(2);
const at = args.indexOf('--archive');
let archiveDir;
if (at >= 0) {
  const [, dir] = args.splice(at, 2);
  if (dir === undefined) fail('--archive wants a folder');
  archiveDir = resolve(dir);
  mkdirSync(archiveDir, { recursive: true });
}
const wanted = args.length === 0 ? images : images.filter((image) => args.some((name) => image.name.includes(name)));
if (wanted.length === 0)
  fail(`no image is called ${args.join(', ')}; there are ${images.map((i) => i.name).join(', ')}`);

run(process.execPath, [join(root, 'e2e/sandbox/start.mjs'), '--build-only']);
const engine = findEngine();
for (const image of wanted) build(engine, image, archiveDir);
