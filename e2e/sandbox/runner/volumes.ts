import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve, sep } from 'node:path';
import type { Container, KeyToPath, Pod, Volume } from '../workloads/objects.ts';
import type { KeyValueSource } from './environment.ts';
import { RunnerFault } from './fault.ts';

/** Where a path of the container lies on this machine. */
export interface Mount {
  readonly mountPath: string;
  readonly hostPath: string;
}

export interface VolumeOptions {
  /** Folder of the pod; removed with it. */
  readonly podDir: string;
  /** Folder of the data of a claim, or undefined while it is not bound. */
  readonly claimDir: (namespace: string, claim: string) => string | undefined;
  readonly source: KeyValueSource;
  /** Rewrites the cluster addresses in a file's text. */
  readonly rewrite: (text: string) => Promise<string>;
}

/**
 * Makes the volumes of a pod: files of ConfigMaps and Secrets are written anew each time, claims and emptyDirs are kept.
 * Gives the folder of each volume. Throws a fault of reason ContainerCreating that says what is missing.
 */
export async function prepareVolumes(pod: Pod, options: VolumeOptions): Promise<ReadonlyMap<string, string>> {
  const folders = new Map<string, string>();
  for (const volume of pod.spec.volumes ?? []) {
    folders.set(volume.name, await prepareVolume(pod, volume, options));
  }
  return folders;
}

async function prepareVolume(pod: Pod, volume: Volume, options: VolumeOptions): Promise<string> {
  const namespace = pod.metadata.namespace ?? 'default';
  const folder = join(options.podDir, 'volumes', volume.name);
  if (volume.persistentVolumeClaim !== undefined) {
    const claim = volume.persistentVolumeClaim.claimName;
    const claimed = options.claimDir(namespace, claim);
    if (claimed === undefined) throw notYet(`persistentvolumeclaim "${claim}" is not bound`);
    await mkdir(claimed, { recursive: true });
    return claimed;
  }
  if (volume.emptyDir !== undefined) {
    await mkdir(folder, { recursive: true });
    return folder;
  }
  const reference = volume.configMap ?? volume.secret;
  if (reference === undefined) {
    throw notYet(`volume "${volume.name}" is of a type that the process runner does not have`);
  }
  const name = 'name' in reference ? reference.name : reference.secretName;
  const values = await ('name' in reference
    ? options.source.configMap(namespace, name)
    : options.source.secret(namespace, name));
  const kind = 'name' in reference ? 'configmap' : 'secret';
  if (values === undefined && reference.optional !== true) throw notYet(`${kind} "${name}" not found`);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  for (const { key, path } of reference.items ?? allKeys(values)) {
    const value = values?.get(key);
    if (value === undefined) throw notYet(`${kind} "${name}" has no key "${key}"`);
    await writeInside(folder, path, kind === 'configmap' ? await rewritten(value, options) : value);
  }
  return folder;
}

function allKeys(values: ReadonlyMap<string, Buffer> | undefined): KeyToPath[] {
  return [...(values?.keys() ?? [])].map((key) => ({ key, path: key }));
}

async function rewritten(value: Buffer, options: VolumeOptions): Promise<Buffer | string> {
  const text = value.toString('utf8');
  // Bytes that are no text must come through untouched.
  return Buffer.from(text, 'utf8').equals(value) ? options.rewrite(text) : value;
}

async function writeInside(folder: string, path: string, content: Buffer | string): Promise<void> {
  const target = resolve(folder, path);
  if (!target.startsWith(folder + sep)) throw notYet(`path "${path}" leaves its volume`);
  await mkdir(dirname(target), { recursive: true });
  await writeFile(target, content, { mode: 0o600 });
}

/** The mount table of a container, longest paths first, so that the most specific one counts. */
export function mountsOf(container: Container, folders: ReadonlyMap<string, string>): Mount[] {
  return (container.volumeMounts ?? [])
    .map((mount) => {
      const folder = folders.get(mount.name);
      if (folder === undefined) throw notYet(`volume "${mount.name}" is not in the pod`);
      return {
        mountPath: mount.mountPath.replace(/\/+$/, ''),
        hostPath: mount.subPath === undefined ? folder : join(folder, mount.subPath),
      };
    })
    .sort((a, b) => b.mountPath.length - a.mountPath.length);
}

/**
 * A value that is a path under a mount, as the path on this machine. Only values that begin with the mount path are
 * paths of the container; all others stay as they are.
 */
export function rewritePath(value: string, mounts: readonly Mount[]): string {
  for (const { mountPath, hostPath } of mounts) {
    if (value === mountPath) return hostPath;
    if (value.startsWith(`${mountPath}/`)) return join(hostPath, value.slice(mountPath.length + 1));
  }
  return value;
}

function notYet(message: string): RunnerFault {
  return new RunnerFault('ContainerCreating', message);
}
