import { isJson, listAt, type Json } from '../types.ts';

/** Sets a field where it is absent. */
export function setDefault(object: Json, field: string, value: unknown): void {
  if (object[field] === undefined || object[field] === null) object[field] = value;
}

function objectsIn(holder: Json, field: string): Json[] {
  return listAt(holder, field).filter(isJson);
}

const FILE_MODE = 0o644;

/** The defaults of a pod's spec, of pods and of pod templates alike (k8s.io/kubernetes pkg/apis/core/v1/defaults.go). */
export function defaultPodSpec(spec: Json): void {
  setDefault(spec, 'restartPolicy', 'Always');
  setDefault(spec, 'terminationGracePeriodSeconds', 30);
  setDefault(spec, 'dnsPolicy', 'ClusterFirst');
  setDefault(spec, 'securityContext', {});
  setDefault(spec, 'schedulerName', 'default-scheduler');
  if (typeof spec['serviceAccountName'] === 'string') setDefault(spec, 'serviceAccount', spec['serviceAccountName']);
  else if (typeof spec['serviceAccount'] === 'string') spec['serviceAccountName'] = spec['serviceAccount'];
  for (const field of ['initContainers', 'containers', 'ephemeralContainers']) {
    for (const container of objectsIn(spec, field)) defaultContainer(container, spec['hostNetwork'] === true);
  }
  for (const volume of objectsIn(spec, 'volumes')) defaultVolume(volume);
}

function defaultContainer(container: Json, onHost: boolean): void {
  setDefault(container, 'terminationMessagePath', '/dev/termination-log');
  setDefault(container, 'terminationMessagePolicy', 'File');
  setDefault(container, 'imagePullPolicy', pullPolicy(container['image']));
  setDefault(container, 'resources', {});
  for (const port of objectsIn(container, 'ports')) {
    setDefault(port, 'protocol', 'TCP');
    if (onHost) setDefault(port, 'hostPort', port['containerPort']);
  }
  for (const name of ['livenessProbe', 'readinessProbe', 'startupProbe']) {
    const probe = container[name];
    if (isJson(probe)) defaultProbe(probe);
  }
  const lifecycle = container['lifecycle'];
  if (isJson(lifecycle)) for (const hook of Object.values(lifecycle)) if (isJson(hook)) defaultHandler(hook);
  for (const variable of objectsIn(container, 'env')) {
    const source = variable['valueFrom'];
    const fieldRef = isJson(source) ? source['fieldRef'] : undefined;
    if (isJson(fieldRef)) setDefault(fieldRef, 'apiVersion', 'v1');
  }
}

function pullPolicy(image: unknown): string {
  const name = typeof image === 'string' ? (image.split('/').at(-1) ?? '') : '';
  if (name.includes('@')) return 'IfNotPresent';
  const tag = name.split(':')[1] ?? 'latest';
  return tag === 'latest' ? 'Always' : 'IfNotPresent';
}

function defaultHandler(handler: Json): void {
  const http = handler['httpGet'];
  if (isJson(http)) {
    setDefault(http, 'path', '/');
    setDefault(http, 'scheme', 'HTTP');
  }
  const grpc = handler['grpc'];
  if (isJson(grpc)) setDefault(grpc, 'service', '');
}

function defaultProbe(probe: Json): void {
  defaultHandler(probe);
  setDefault(probe, 'timeoutSeconds', 1);
  setDefault(probe, 'periodSeconds', 10);
  setDefault(probe, 'successThreshold', 1);
  setDefault(probe, 'failureThreshold', 3);
}

const VOLUME_SOURCES = ['secret', 'configMap', 'projected', 'downwardAPI'];

function defaultVolume(volume: Json): void {
  if (Object.keys(volume).every((field) => field === 'name')) volume['emptyDir'] = {};
  for (const field of VOLUME_SOURCES) {
    const source = volume[field];
    if (isJson(source)) setDefault(source, 'defaultMode', FILE_MODE);
  }
  const hostPath = volume['hostPath'];
  if (isJson(hostPath)) setDefault(hostPath, 'type', '');
  const projected = volume['projected'];
  if (isJson(projected)) {
    for (const source of objectsIn(projected, 'sources')) {
      const token = source['serviceAccountToken'];
      if (isJson(token)) setDefault(token, 'expirationSeconds', 3_607);
    }
  }
}

/** Defaults of `spec.template.spec`, where there is one. */
export function defaultTemplate(holder: unknown): void {
  const template = isJson(holder) ? holder['template'] : undefined;
  const spec = isJson(template) ? template['spec'] : undefined;
  if (isJson(spec)) defaultPodSpec(spec);
}

/** In pods (not in templates) what is limited but not requested is requested as limited. */
export function defaultRequests(spec: Json): void {
  for (const container of [...objectsIn(spec, 'initContainers'), ...objectsIn(spec, 'containers')]) {
    const resources = container['resources'];
    if (!isJson(resources) || !isJson(resources['limits'])) continue;
    const requests: Json = isJson(resources['requests']) ? resources['requests'] : {};
    for (const [name, limit] of Object.entries(resources['limits'])) setDefault(requests, name, limit);
    resources['requests'] = requests;
  }
}
