import type { KindContext, KindRules } from '../resource.ts';
import { fieldErrors, type FieldError } from '../status.ts';
import { isJson, listAt, numberAt, objectAt, textAt, type KubeObject } from '../types.ts';
import { setDefault } from './pod-defaults.ts';

function defaultService(object: KubeObject): void {
  const spec = objectAt(object.spec);
  object.spec = spec;
  setDefault(spec, 'sessionAffinity', 'None');
  setDefault(spec, 'type', 'ClusterIP');
  for (const port of listAt(spec, 'ports')) {
    if (!isJson(port)) continue;
    setDefault(port, 'protocol', 'TCP');
    if (port['targetPort'] === undefined || port['targetPort'] === 0 || port['targetPort'] === '')
      port['targetPort'] = port['port'];
  }
  const type = spec['type'];
  if (type === 'NodePort' || type === 'LoadBalancer') setDefault(spec, 'externalTrafficPolicy', 'Cluster');
  if (type === 'LoadBalancer') setDefault(spec, 'allocateLoadBalancerNodePorts', true);
  if (type !== 'ExternalName') setDefault(spec, 'internalTrafficPolicy', 'Cluster');
  if (spec['sessionAffinity'] === 'ClientIP')
    setDefault(spec, 'sessionAffinityConfig', { clientIP: { timeoutSeconds: 10_800 } });
}

function allocate(object: KubeObject, live: KubeObject | undefined, context: KindContext): void {
  const spec = objectAt(object.spec);
  const before = objectAt(live?.spec);
  if (spec['type'] === 'ExternalName') return;
  if (live !== undefined && before['clusterIP'] !== undefined) {
    setDefault(spec, 'clusterIP', before['clusterIP']);
    setDefault(spec, 'clusterIPs', before['clusterIPs']);
  }
  if (spec['clusterIP'] === undefined || spec['clusterIP'] === '') spec['clusterIP'] = context.allocateClusterIp();
  setDefault(spec, 'clusterIPs', [spec['clusterIP']]);
  setDefault(spec, 'ipFamilies', ['IPv4']);
  setDefault(spec, 'ipFamilyPolicy', 'SingleStack');
  if (spec['type'] !== 'NodePort' && spec['type'] !== 'LoadBalancer') return;
  const known = listAt(before, 'ports');
  for (const port of listAt(spec, 'ports')) {
    if (!isJson(port) || (port['nodePort'] !== undefined && port['nodePort'] !== 0)) continue;
    const same = known.find(
      (item) => isJson(item) && item['port'] === port['port'] && item['protocol'] === port['protocol'],
    );
    port['nodePort'] = numberAt(same, 'nodePort') ?? context.allocateNodePort();
  }
}

function serviceErrors(next: KubeObject, live: KubeObject | undefined): FieldError[] {
  const found: FieldError[] = [];
  const spec = objectAt(next.spec);
  const ports = listAt(spec, 'ports');
  if (ports.length === 0 && spec['clusterIP'] !== 'None' && spec['type'] !== 'ExternalName') {
    found.push(fieldErrors.required('spec.ports'));
  }
  const seen = new Set<string>();
  for (const [index, port] of ports.entries()) {
    const at = `spec.ports[${String(index)}]`;
    const number = numberAt(port, 'port') ?? 0;
    if (number < 1 || number > 65_535)
      found.push(fieldErrors.invalid(`${at}.port`, number, 'must be between 1 and 65535, inclusive'));
    if (ports.length > 1 && (textAt(port, 'name') ?? '') === '') found.push(fieldErrors.required(`${at}.name`));
    const key = `${String(number)}/${textAt(port, 'protocol') ?? ''}`;
    if (seen.has(key)) found.push(fieldErrors.duplicate(at, { port: number, protocol: textAt(port, 'protocol') }));
    seen.add(key);
  }
  const before = textAt(live?.spec, 'clusterIP');
  const after = textAt(spec, 'clusterIP');
  if (before !== undefined && before !== '' && spec['type'] !== 'ExternalName' && before !== after) {
    found.push(fieldErrors.invalid('spec.clusterIPs[0]', [after ?? null], 'may not change once set'));
  }
  return found;
}

export const serviceRules: KindRules = {
  names: 'service',
  answersDeleted: true,
  defaults: defaultService,
  prepareCreate: (object, context) => {
    checkAsked(object, context);
    allocate(object, undefined, context);
    object.status = { loadBalancer: {} };
  },
  prepareUpdate: (object, live, context) => {
    allocate(object, live, context);
  },
  validate: serviceErrors,
  fields: (object) => ({
    'spec.clusterIP': textAt(object.spec, 'clusterIP') ?? '',
    'spec.type': textAt(object.spec, 'type') ?? '',
  }),
};

/** An address or port that somebody else has is given up; validation then says so by the missing value. */
function checkAsked(object: KubeObject, context: KindContext): void {
  const spec = objectAt(object.spec);
  const address = textAt(spec, 'clusterIP');
  if (address !== undefined && address !== '' && address !== 'None' && context.isClusterIpTaken(address)) {
    context.refuse(object, [
      fieldErrors.invalid(
        'spec.clusterIPs',
        [address],
        `failed to allocate IP ${address}: provided IP is already allocated`,
      ),
    ]);
  }
  for (const [index, port] of listAt(spec, 'ports').entries()) {
    const nodePort = numberAt(port, 'nodePort');
    if (nodePort !== undefined && nodePort !== 0 && context.isNodePortTaken(nodePort)) {
      context.refuse(object, [
        fieldErrors.invalid(`spec.ports[${String(index)}].nodePort`, nodePort, 'provided port is already allocated'),
      ]);
    }
  }
}

export const networkPolicyRules: KindRules = {
  generation: true,
  defaults: (object) => {
    const spec = objectAt(object.spec);
    object.spec = spec;
    if (listAt(spec, 'policyTypes').length === 0) {
      spec['policyTypes'] = listAt(spec, 'egress').length > 0 ? ['Ingress', 'Egress'] : ['Ingress'];
    }
    for (const rule of [...listAt(spec, 'ingress'), ...listAt(spec, 'egress')]) {
      for (const port of listAt(rule, 'ports')) if (isJson(port)) setDefault(port, 'protocol', 'TCP');
    }
  },
};

export const endpointsRules: KindRules = {
  createOnUpdate: true,
  defaults: (object) => {
    for (const subset of listAt(object, 'subsets')) {
      for (const port of listAt(subset, 'ports')) if (isJson(port)) setDefault(port, 'protocol', 'TCP');
    }
  },
};

export const endpointSliceRules: KindRules = {
  generation: true,
  defaults: (object) => {
    for (const port of listAt(object, 'ports')) {
      if (!isJson(port)) continue;
      setDefault(port, 'name', '');
      setDefault(port, 'protocol', 'TCP');
    }
  },
  validate: (next, live) =>
    live !== undefined && live['addressType'] !== next['addressType']
      ? [fieldErrors.invalid('addressType', next['addressType'], 'field is immutable')]
      : [],
};

export const ingressRules: KindRules = {
  generation: true,
  prepareCreate: (object) => {
    object.status = { loadBalancer: {} };
  },
};
