import type { Container, EnvVar, Pod } from '../workloads/objects.ts';
import { RunnerFault } from './fault.ts';

/** Where ConfigMaps and Secrets come from; values are decoded. `undefined`: there is no such object. */
export interface KeyValueSource {
  configMap(namespace: string, name: string): Promise<ReadonlyMap<string, Buffer> | undefined>;
  secret(namespace: string, name: string): Promise<ReadonlyMap<string, Buffer> | undefined>;
}

/**
 * The environment that a container's spec asks for: `envFrom`, then `env` in order, `$(NAME)` replaced by what stands
 * before. Throws a fault of reason CreateContainerConfigError that names the object or key that is missing.
 */
export async function resolveEnvironment(
  container: Container,
  pod: Pod,
  source: KeyValueSource,
): Promise<Record<string, string>> {
  const namespace = pod.metadata.namespace ?? 'default';
  const env: Record<string, string> = {};
  for (const { prefix = '', configMapRef, secretRef } of container.envFrom ?? []) {
    const reference = configMapRef ?? secretRef;
    if (reference === undefined) continue;
    const kind = configMapRef === undefined ? 'secret' : 'configmap';
    const values = await (kind === 'secret'
      ? source.secret(namespace, reference.name)
      : source.configMap(namespace, reference.name));
    if (values === undefined && reference.optional !== true) throw missing(`${kind} "${reference.name}" not found`);
    for (const [key, value] of values ?? []) env[prefix + key] = value.toString('utf8');
  }
  for (const variable of container.env ?? []) {
    const value = await valueOf(variable, pod, source);
    if (value !== undefined) env[variable.name] = expand(value, env);
  }
  return env;
}

async function valueOf(variable: EnvVar, pod: Pod, source: KeyValueSource): Promise<string | undefined> {
  const from = variable.valueFrom;
  if (from === undefined) return variable.value ?? '';
  const namespace = pod.metadata.namespace ?? 'default';
  if (from.fieldRef !== undefined) return fieldOf(pod, from.fieldRef.fieldPath);
  const reference = from.configMapKeyRef ?? from.secretKeyRef;
  if (reference === undefined) {
    throw missing(`variable ${variable.name}: this valueFrom is not supported by the process runner`);
  }
  const kind = from.configMapKeyRef === undefined ? 'secret' : 'configmap';
  const values = await (kind === 'secret'
    ? source.secret(namespace, reference.name)
    : source.configMap(namespace, reference.name));
  const value = values?.get(reference.key);
  if (value !== undefined) return value.toString('utf8');
  if (reference.optional === true) return undefined;
  throw missing(
    values === undefined
      ? `${kind} "${reference.name}" not found`
      : `couldn't find key ${reference.key} in ${kind} ${namespace}/${reference.name}`,
  );
}

function fieldOf(pod: Pod, path: string): string {
  const inMap = /^metadata\.(labels|annotations)\['([^']+)'\]$/.exec(path);
  if (inMap !== null) {
    const map = inMap[1] === 'labels' ? pod.metadata.labels : pod.metadata.annotations;
    return map?.[inMap[2] ?? ''] ?? '';
  }
  switch (path) {
    case 'metadata.name':
      return pod.metadata.name;
    case 'metadata.namespace':
      return pod.metadata.namespace ?? 'default';
    case 'metadata.uid':
      return pod.metadata.uid ?? '';
    case 'spec.nodeName':
      return pod.spec.nodeName ?? '';
    case 'status.podIP':
    case 'status.hostIP':
      return '127.0.0.1';
    default:
      throw missing(`fieldPath ${path} is not supported by the process runner`);
  }
}

/** `$(NAME)` becomes the value of NAME, `$$(NAME)` the text `$(NAME)`; an unknown name stays as it is. */
function expand(value: string, env: Readonly<Record<string, string>>): string {
  return value.replace(/\$(\$?)\(([A-Za-z_][A-Za-z0-9_]*)\)/g, (text, escaped: string, name: string) =>
    escaped === '$' ? `$(${name})` : (env[name] ?? text),
  );
}

function missing(message: string): RunnerFault {
  return new RunnerFault('CreateContainerConfigError', message);
}
