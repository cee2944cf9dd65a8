import { labelErrors } from '../names.ts';
import type { KindRules } from '../resource.ts';
import { fieldErrors, type FieldError } from '../status.ts';
import { deepEqual, isJson, listAt, numberAt, objectAt, textAt, type Json, type KubeObject } from '../types.ts';
import { defaultPodSpec, defaultRequests, defaultTemplate, setDefault } from './pod-defaults.ts';

const DEFAULT_GRACE_SECONDS = 30;

function specOf(object: KubeObject): Json {
  const spec = object.spec;
  if (isJson(spec)) return spec;
  const made: Json = {};
  object.spec = made;
  return made;
}

/** Whether `labels` fulfil a LabelSelector. Only what validation needs: matchLabels and the four operators. */
export function selectsLabels(selector: unknown, labels: Json): boolean {
  for (const [key, value] of Object.entries(objectAt(selector, 'matchLabels'))) if (labels[key] !== value) return false;
  for (const term of listAt(selector, 'matchExpressions')) {
    const key = textAt(term, 'key') ?? '';
    const values = listAt(term, 'values');
    const has = Object.hasOwn(labels, key);
    switch (textAt(term, 'operator')) {
      case 'In':
        if (!has || !values.includes(labels[key])) return false;
        break;
      case 'NotIn':
        if (has && values.includes(labels[key])) return false;
        break;
      case 'Exists':
        if (!has) return false;
        break;
      case 'DoesNotExist':
        if (has) return false;
        break;
      default:
        return false;
    }
  }
  return true;
}

/** @param claims names of the volumes that a StatefulSet makes of its claims */
function containerErrors(spec: unknown, path: string, claims: readonly unknown[] = []): FieldError[] {
  const found: FieldError[] = [];
  const containers = listAt(spec, 'containers');
  if (containers.length === 0) found.push(fieldErrors.required(`${path}.containers`));
  const names = new Set<string>();
  for (const field of ['initContainers', 'containers']) {
    for (const [index, container] of listAt(spec, field).entries()) {
      const at = `${path}.${field}[${String(index)}]`;
      const name = textAt(container, 'name') ?? '';
      if (name === '') found.push(fieldErrors.required(`${at}.name`));
      else if (names.has(name)) found.push(fieldErrors.duplicate(`${at}.name`, name));
      names.add(name);
      if ((textAt(container, 'image') ?? '') === '') found.push(fieldErrors.required(`${at}.image`));
    }
  }
  const volumes = new Set([
    ...listAt(spec, 'volumes').map((volume) => textAt(volume, 'name')),
    ...claims.map((claim) => textAt(claim, 'metadata', 'name')),
  ]);
  for (const [index, container] of listAt(spec, 'containers').entries()) {
    for (const [position, mount] of listAt(container, 'volumeMounts').entries()) {
      const name = textAt(mount, 'name');
      if (!volumes.has(name)) {
        found.push({
          field: `${path}.containers[${String(index)}].volumeMounts[${String(position)}].name`,
          reason: 'FieldValueNotFound',
          message: `Not found: ${JSON.stringify(name)}`,
        });
      }
    }
  }
  return found;
}

/** What Deployments, ReplicaSets, StatefulSets and DaemonSets have in common. */
function workloadErrors(next: KubeObject, live: KubeObject | undefined): FieldError[] {
  const found: FieldError[] = [];
  const selector = objectAt(next.spec, 'selector');
  const isEmpty =
    Object.keys(objectAt(selector, 'matchLabels')).length === 0 && listAt(selector, 'matchExpressions').length === 0;
  const labels = objectAt(next.spec, 'template', 'metadata', 'labels');
  found.push(...labelErrors(labels, 'spec.template.metadata.labels'));
  if (isEmpty) found.push(fieldErrors.required('spec.selector'));
  else if (!selectsLabels(selector, labels)) {
    found.push(
      fieldErrors.invalid('spec.template.metadata.labels', labels, '`selector` does not match template `labels`'),
    );
  }
  const replicas = numberAt(next.spec, 'replicas');
  if (replicas !== undefined && replicas < 0) {
    found.push(fieldErrors.invalid('spec.replicas', replicas, 'must be greater than or equal to 0'));
  }
  const claims = listAt(next.spec, 'volumeClaimTemplates');
  found.push(...containerErrors(objectAt(next.spec, 'template', 'spec'), 'spec.template.spec', claims));
  if (live !== undefined && !deepEqual(selector, objectAt(live.spec, 'selector'))) {
    found.push(fieldErrors.invalid('spec.selector', selector, 'field is immutable'));
  }
  return found;
}

const STATEFUL_SET_MUTABLE = new Set([
  'replicas',
  'ordinals',
  'template',
  'updateStrategy',
  'revisionHistoryLimit',
  'persistentVolumeClaimRetentionPolicy',
  'minReadySeconds',
]);

function statefulSetErrors(next: KubeObject, live: KubeObject | undefined): FieldError[] {
  if (live === undefined) return workloadErrors(next, undefined);
  const before = objectAt(live.spec);
  const after = objectAt(next.spec);
  const isFixedChanged = [...new Set([...Object.keys(before), ...Object.keys(after)])].some(
    (field) => !STATEFUL_SET_MUTABLE.has(field) && !deepEqual(before[field], after[field]),
  );
  if (!isFixedChanged) return workloadErrors(next, live);
  return [
    fieldErrors.forbidden(
      'spec',
      "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
    ),
  ];
}

export const podRules: KindRules = {
  generation: true,
  answersDeleted: true,
  defaults: (object) => {
    const spec = specOf(object);
    setDefault(spec, 'enableServiceLinks', true);
    defaultPodSpec(spec);
    defaultRequests(spec);
  },
  prepareCreate: (object) => {
    const spec = specOf(object);
    setDefault(spec, 'priority', 0);
    setDefault(spec, 'preemptionPolicy', 'PreemptLowerPriority');
    const tolerations = listAt(spec, 'tolerations');
    for (const key of ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable']) {
      if (tolerations.some((item) => textAt(item, 'key') === key)) continue;
      tolerations.push({ effect: 'NoExecute', key, operator: 'Exists', tolerationSeconds: 300 });
    }
    spec['tolerations'] = tolerations;
    object.status = { phase: 'Pending', qosClass: qosClass(spec) };
  },
  validate: (next, live) => {
    const found = containerErrors(next.spec, 'spec');
    if (live === undefined) return found;
    const mutable = (object: KubeObject): Json => {
      const spec = { ...objectAt(object.spec) };
      for (const field of [
        'activeDeadlineSeconds',
        'tolerations',
        'terminationGracePeriodSeconds',
        'nodeName',
        'schedulingGates',
      ])
        Reflect.deleteProperty(spec, field);
      for (const field of ['containers', 'initContainers']) {
        if (spec[field] !== undefined)
          spec[field] = listAt(spec, field).map((item) => ({ ...objectAt(item), image: '' }));
      }
      return spec;
    };
    if (!deepEqual(mutable(next), mutable(live))) {
      found.push(
        fieldErrors.forbidden(
          'spec',
          'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)',
        ),
      );
    }
    return found;
  },
  fields: (object) => ({
    'spec.nodeName': textAt(object.spec, 'nodeName') ?? '',
    'spec.restartPolicy': textAt(object.spec, 'restartPolicy') ?? '',
    'spec.schedulerName': textAt(object.spec, 'schedulerName') ?? '',
    'spec.serviceAccountName': textAt(object.spec, 'serviceAccountName') ?? '',
    'spec.hostNetwork': String(objectAt(object.spec)['hostNetwork'] === true),
    'status.phase': textAt(object.status, 'phase') ?? '',
    'status.podIP': textAt(object.status, 'podIP') ?? '',
    'status.nominatedNodeName': textAt(object.status, 'nominatedNodeName') ?? '',
  }),
  gracePeriod: (object, asked) => {
    // A pod that no node has taken, or that has ended, has nothing to stop gracefully.
    const phase = textAt(object.status, 'phase');
    if ((textAt(object.spec, 'nodeName') ?? '') === '' || phase === 'Succeeded' || phase === 'Failed') return 0;
    const wanted = asked ?? numberAt(object.spec, 'terminationGracePeriodSeconds') ?? DEFAULT_GRACE_SECONDS;
    return Math.max(wanted, asked === 0 ? 0 : 1);
  },
};

function qosClass(spec: Json): string {
  const containers = [...listAt(spec, 'initContainers'), ...listAt(spec, 'containers')];
  let hasAny = false;
  let isGuaranteed = true;
  for (const container of containers) {
    const requests = objectAt(container, 'resources', 'requests');
    const limits = objectAt(container, 'resources', 'limits');
    if (Object.keys(requests).length + Object.keys(limits).length > 0) hasAny = true;
    for (const name of ['cpu', 'memory']) {
      if (limits[name] === undefined || limits[name] !== (requests[name] ?? limits[name])) isGuaranteed = false;
    }
  }
  if (!hasAny) return 'BestEffort';
  return isGuaranteed ? 'Guaranteed' : 'Burstable';
}

export const deploymentRules: KindRules = {
  generation: true,
  defaults: (object) => {
    const spec = specOf(object);
    setDefault(spec, 'replicas', 1);
    const strategy = objectAt(spec, 'strategy');
    setDefault(strategy, 'type', 'RollingUpdate');
    if (strategy['type'] === 'RollingUpdate') {
      const rolling = objectAt(strategy, 'rollingUpdate');
      setDefault(rolling, 'maxUnavailable', '25%');
      setDefault(rolling, 'maxSurge', '25%');
      strategy['rollingUpdate'] = rolling;
    }
    spec['strategy'] = strategy;
    setDefault(spec, 'revisionHistoryLimit', 10);
    setDefault(spec, 'progressDeadlineSeconds', 600);
    defaultTemplate(spec);
  },
  validate: workloadErrors,
};

export const replicaSetRules: KindRules = {
  generation: true,
  defaults: (object) => {
    const spec = specOf(object);
    setDefault(spec, 'replicas', 1);
    defaultTemplate(spec);
  },
  prepareCreate: (object) => {
    object.status = { replicas: 0 };
  },
  validate: workloadErrors,
  fields: (object) => ({ 'status.replicas': String(numberAt(object.status, 'replicas') ?? 0) }),
};

export const statefulSetRules: KindRules = {
  generation: true,
  defaults: (object) => {
    const spec = specOf(object);
    setDefault(spec, 'podManagementPolicy', 'OrderedReady');
    const strategy = objectAt(spec, 'updateStrategy');
    setDefault(strategy, 'type', 'RollingUpdate');
    if (strategy['type'] === 'RollingUpdate') {
      const rolling = objectAt(strategy, 'rollingUpdate');
      setDefault(rolling, 'partition', 0);
      strategy['rollingUpdate'] = rolling;
    }
    spec['updateStrategy'] = strategy;
    const retention = objectAt(spec, 'persistentVolumeClaimRetentionPolicy');
    setDefault(retention, 'whenDeleted', 'Retain');
    setDefault(retention, 'whenScaled', 'Retain');
    spec['persistentVolumeClaimRetentionPolicy'] = retention;
    setDefault(spec, 'replicas', 1);
    setDefault(spec, 'revisionHistoryLimit', 10);
    setDefault(spec, 'serviceName', '');
    defaultTemplate(spec);
    for (const claim of listAt(spec, 'volumeClaimTemplates')) {
      if (!isJson(claim)) continue;
      setDefault(claim, 'apiVersion', 'v1');
      setDefault(claim, 'kind', 'PersistentVolumeClaim');
      setDefault(objectAt(claim, 'spec'), 'volumeMode', 'Filesystem');
      const status = objectAt(claim, 'status');
      setDefault(status, 'phase', 'Pending');
      claim['status'] = status;
    }
  },
  prepareCreate: (object) => {
    object.status = { replicas: 0, availableReplicas: 0 };
  },
  validate: statefulSetErrors,
};

export const daemonSetRules: KindRules = {
  generation: true,
  defaults: (object) => {
    object.metadata.annotations = { 'deprecated.daemonset.template.generation': '1', ...object.metadata.annotations };
    const spec = specOf(object);
    const strategy = objectAt(spec, 'updateStrategy');
    setDefault(strategy, 'type', 'RollingUpdate');
    if (strategy['type'] === 'RollingUpdate') {
      const rolling = objectAt(strategy, 'rollingUpdate');
      setDefault(rolling, 'maxUnavailable', 1);
      setDefault(rolling, 'maxSurge', 0);
      strategy['rollingUpdate'] = rolling;
    }
    spec['updateStrategy'] = strategy;
    setDefault(spec, 'revisionHistoryLimit', 10);
    defaultTemplate(spec);
  },
  prepareCreate: (object) => {
    object.status = { currentNumberScheduled: 0, numberMisscheduled: 0, desiredNumberScheduled: 0, numberReady: 0 };
  },
  validate: workloadErrors,
};

export const jobRules: KindRules = {
  generation: true,
  defaults: (object) => {
    const spec = specOf(object);
    if (spec['completions'] === undefined && spec['parallelism'] === undefined) setDefault(spec, 'completions', 1);
    setDefault(spec, 'parallelism', 1);
    setDefault(spec, 'backoffLimit', 6);
    setDefault(spec, 'completionMode', 'NonIndexed');
    setDefault(spec, 'suspend', false);
    setDefault(spec, 'podReplacementPolicy', spec['podFailurePolicy'] === undefined ? 'TerminatingOrFailed' : 'Failed');
    setDefault(spec, 'manualSelector', false);
    defaultTemplate(spec);
  },
  prepareCreate: (object) => {
    const spec = specOf(object);
    if (spec['manualSelector'] === true) return;
    const uid = object.metadata.uid ?? '';
    const name = object.metadata.name ?? '';
    const template = objectAt(spec, 'template');
    const metadata = objectAt(template, 'metadata');
    metadata['labels'] = {
      ...objectAt(metadata, 'labels'),
      'controller-uid': uid,
      'job-name': name,
      'batch.kubernetes.io/controller-uid': uid,
      'batch.kubernetes.io/job-name': name,
    };
    template['metadata'] = metadata;
    spec['template'] = template;
    if (Object.keys(object.metadata.labels ?? {}).length === 0)
      object.metadata.labels = { ...objectAt(metadata, 'labels') } as Record<string, string>;
    setDefault(spec, 'selector', { matchLabels: { 'batch.kubernetes.io/controller-uid': uid } });
  },
  validate: (next, live) => {
    const found = containerErrors(objectAt(next.spec, 'template', 'spec'), 'spec.template.spec');
    const policy = textAt(next.spec, 'template', 'spec', 'restartPolicy');
    if (policy === 'Always') {
      found.push({
        ...fieldErrors.unsupported('spec.template.spec.restartPolicy', policy, ['OnFailure', 'Never']),
        message: 'Required value: valid values: "OnFailure", "Never"',
        reason: 'FieldValueRequired',
      });
    }
    if (live !== undefined && !deepEqual(objectAt(live.spec, 'template'), objectAt(next.spec, 'template'))) {
      found.push(fieldErrors.invalid('spec.template', 'object', 'field is immutable'));
    }
    return found;
  },
  fields: (object) => ({ 'status.successful': String(numberAt(object.status, 'succeeded') ?? 0) }),
};

export const cronJobRules: KindRules = {
  generation: true,
  defaults: (object) => {
    const spec = specOf(object);
    setDefault(spec, 'concurrencyPolicy', 'Allow');
    setDefault(spec, 'suspend', false);
    setDefault(spec, 'successfulJobsHistoryLimit', 3);
    setDefault(spec, 'failedJobsHistoryLimit', 1);
    defaultTemplate(objectAt(spec, 'jobTemplate', 'spec'));
  },
};
