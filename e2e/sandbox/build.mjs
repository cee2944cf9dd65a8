/** Builds the programs of the platform for this machine: bundles into dist/, and the console by its own build. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** Program to its composition root, both from the root of the repository. */
const programs = {
  sandbox: 'e2e/sandbox/main.ts',
  grid: 'e2e/grid/main.ts',
  pm: 'reconciler/src/main-pm.ts',
  crm: 'reconciler/src/main-crm.ts',
  odgm: 'odgm/src/main.ts',
  'functions/hello': 'gitops-examples/hello/functions/hello.ts',
  'functions/counter': 'gitops-examples/counter/functions/counter.ts',
  'functions/chat-room': 'gitops-examples/chat/functions/room.ts',
  'functions/chat-user': 'gitops-examples/chat/functions/user.ts',
};

/** Folders whose files are what is built. */
const programSources = ['proto/src', 'commons', 'reconciler', 'odgm', 'gitops-examples', 'e2e/sandbox', 'e2e/grid'];
const consoleSources = ['console', 'commons/src', 'proto/src'];
const skipped = new Set(['node_modules', 'dist', '.next', '.sandbox', 'coverage', 'refused', 'test-results']);

/** Bundles all programs, unless nothing has changed since the last time. Throws with the compiler's errors. */
export async function buildPrograms(root, log) {
  const outputs = Object.keys(programs).map((name) => path.join(root, 'dist', `${name}.mjs`));
  const stamp = path.join(root, 'dist', '.programs');
  const digest = digestOf(root, [...programSources, 'package-lock.json'], ['.ts', '.mjs', '.cjs', '.json']);
  if (isFresh(stamp, digest, outputs)) return;
  const unlock = await lock(root, 'programs', log);
  try {
    if (!isFresh(stamp, digest, outputs)) await bundle(root, log, () => writeFileSync(stamp, digest));
  } finally {
    unlock();
  }
}

async function bundle(root, log, done) {
  const started = performance.now();
  log('building the programs ...');
  const { build } = await import('esbuild');
  const result = await build({
    absWorkingDir: root,
    entryPoints: Object.entries(programs).map(([out, source]) => ({ in: path.join(root, source), out })),
    outdir: 'dist',
    outExtension: { '.js': '.mjs' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20.19',
    // Native code is not bundled.
    external: ['lmdb', 'esbuild'],
    plugins: [ownFolder],
    banner: { js: commonJsGlobals },
    legalComments: 'none',
    logLevel: 'silent',
    write: false,
  }).catch((error) => {
    const problems = (error.errors ?? []).map(
      ({ text, location }) => `  ${location === null ? '' : `${location.file}:${location.line}: `}${text}`,
    );
    throw new Error(`The programs could not be built:\n${problems.join('\n') || error.message}`);
  });
  for (const { text } of result.warnings) log(`  warning: ${text}`);
  for (const { path: file, contents } of result.outputFiles) {
    mkdirSync(path.dirname(file), { recursive: true });
    // Whoever starts a program meanwhile gets the old one or the new one, never half of it.
    writeFileSync(`${file}.new`, contents);
    renameSync(`${file}.new`, file);
  }
  done();
  log(`built the programs in ${seconds(started)}`);
}

/**
 * Builds the console, unless nothing has changed since the last time. Gives a promise that rejects with the end of the
 * build's output, and a function that ends it early.
 */
export function buildConsole(root, log) {
  const folder = path.join(root, 'console');
  const server = path.join(folder, '.next', 'standalone', 'console', 'server.js');
  const stamp = path.join(root, 'dist', '.console');
  const digest = digestOf(
    root,
    [...consoleSources, 'package-lock.json'],
    ['.ts', '.tsx', '.css', '.mjs', '.json', '.svg', '.ico', '.png'],
  );
  if (isFresh(stamp, digest, [server])) return { done: Promise.resolve(server), stop: () => undefined };

  let child;
  const run = (args) =>
    new Promise((resolve, reject) => {
      let output = '';
      const keep = (chunk) => {
        output = (output + chunk).slice(-4000);
      };
      child = spawn(process.execPath, args, {
        cwd: folder,
        env: { ...process.env, NEXT_TELEMETRY_DISABLED: '1', NODE_ENV: 'production' },
        stdio: ['ignore', 'pipe', 'pipe'],
        detached: true,
      });
      child.stdout.on('data', keep);
      child.stderr.on('data', keep);
      child.once('error', reject);
      child.once('close', (code) => {
        if (code === 0) resolve();
        else reject(new Error(`The console could not be built:\n${output.trimEnd()}`));
      });
    });
  const stop = () => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    // The build has workers of its own.
    process.kill(-child.pid, 'SIGKILL');
  };
  const build = async () => {
    const unlock = await lock(root, 'console', log);
    try {
      if (!isFresh(stamp, digest, [server])) await compile();
      return server;
    } finally {
      unlock();
    }
  };
  const compile = async () => {
    const started = performance.now();
    log('building the console (only the first time, and when it has changed) ...');
    rmSync(stamp, { force: true });
    await run([path.join(root, 'node_modules', 'next', 'dist', 'bin', 'next'), 'build']);
    await run([path.join(folder, 'scripts', 'assemble.mjs')]);
    mkdirSync(path.dirname(stamp), { recursive: true });
    writeFileSync(stamp, digest);
    log(`built the console in ${seconds(started)}`);
  };
  return { done: build(), stop };
}

/** Waits until no other process builds the same. Gives the function that lets the next one in. */
async function lock(root, name, log) {
  const file = path.join(root, 'dist', `.building-${name}`);
  mkdirSync(path.dirname(file), { recursive: true });
  for (let waited = false; ;) {
    try {
      writeFileSync(file, String(process.pid), { flag: 'wx' });
      return () => rmSync(file, { force: true });
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    const holder = existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0;
    if (holder !== 0 && !isRunning(holder)) rmSync(file, { force: true });
    else {
      if (!waited) log(`another process builds the ${name}; waiting for it ...`);
      waited = true;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}

function isRunning(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/** Packages written for CommonJS expect these. */
const commonJsGlobals = [
  "import { createRequire as __createRequire } from 'node:module';",
  "import { dirname as __pathDirname } from 'node:path';",
  "import { fileURLToPath as __fileURLToPath } from 'node:url';",
  'const require = __createRequire(import.meta.url);',
  'const __filename = __fileURLToPath(import.meta.url);',
  'const __dirname = __pathDirname(__filename);',
].join('\n');

/** Packages that read files beside their own source are told where that is. */
const ownFolder = {
  name: 'own-folder',
  setup(build) {
    build.onLoad({ filter: /node_modules[\\/]@fastify[\\/]swagger-ui[\\/].*\.js$/ }, ({ path: file }) => ({
      contents: `const __dirname = ${JSON.stringify(path.dirname(file))};\n${readFileSync(file, 'utf8')}`,
      loader: 'js',
    }));
  },
};

function isFresh(stamp, digest, outputs) {
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === digest && outputs.every((file) => existsSync(file));
}

/** A hash of the names and contents of the files with one of these endings, tests left out. */
function digestOf(root, places, endings) {
  const hash = createHash('sha256');
  const visit = (place) => {
    const file = path.join(root, place);
    if (place.endsWith('.json') && !place.includes(path.sep)) {
      hash.update(place).update(readFileSync(file));
      return;
    }
    if (!existsSync(file)) return;
    for (const entry of readdirSync(file, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const inside = `${place}/${entry.name}`;
      if (entry.isDirectory()) {
        if (!skipped.has(entry.name)) visit(inside);
      } else if (entry.name === 'next-env.d.ts') {
        // Written by the build itself.
      } else if (endings.includes(path.extname(entry.name)) && !/\.test\.tsx?$/.test(entry.name)) {
        hash.update(inside).update(readFileSync(path.join(root, inside)));
      }
    }
  };
  for (const place of places) visit(place);
  return hash.digest('hex');
}

function seconds(since) {
  return `${((performance.now() - since) / 1000).toFixed(1)} s`;
}
