import type { KindRules } from '../resource.ts';
import { fieldErrors, type FieldError } from '../status.ts';
import { deepEqual, isJson, listAt, objectAt, textAt, type KubeObject } from '../types.ts';
import { setDefault } from './pod-defaults.ts';

const NAMESPACE_LABEL = 'kubernetes.io/metadata.name';

export const namespaceRules: KindRules = {
  names: 'label',
  answersDeleted: true,
  defaults: (object) => {
    object.metadata.labels = { ...object.metadata.labels, [NAMESPACE_LABEL]: object.metadata.name ?? '' };
  },
  prepareCreate: (object) => {
    const spec = objectAt(object.spec);
    spec['finalizers'] = ['kubernetes', ...listAt(spec, 'finalizers').filter((item) => item !== 'kubernetes')];
    object.spec = spec;
    object.status = { phase: 'Active' };
  },
  prepareUpdate: (next, live) => {
    if (live.spec !== undefined) next.spec = live.spec;
  },
  fields: (object) => ({ 'status.phase': textAt(object.status, 'phase') ?? '' }),
};

export const secretRules: KindRules = {
  defaults: (object) => {
    setDefault(object, 'type', 'Opaque');
    const plain = objectAt(object, 'stringData');
    if (Object.keys(plain).length > 0) {
      const data = objectAt(object, 'data');
      for (const [key, value] of Object.entries(plain)) data[key] = Buffer.from(String(value)).toString('base64');
      object['data'] = data;
    }
    delete object['stringData'];
  },
  validate: (next, live) => {
    const found = [...dataKeyErrors(next, 'data'), ...immutableErrors(next, live, ['data'])];
    for (const [key, value] of Object.entries(objectAt(next, 'data'))) {
      if (typeof value === 'string' && Buffer.from(value, 'base64').toString('base64') !== value) {
        found.push(fieldErrors.invalid(`data[${key}]`, value, 'illegal base64 data'));
      }
    }
    if (live !== undefined && live['type'] !== next['type']) {
      found.push(fieldErrors.invalid('type', next['type'], 'field is immutable'));
    }
    return found;
  },
  fields: (object) => ({ type: textAt(object, 'type') ?? '' }),
};

export const configMapRules: KindRules = {
  validate: (next, live) => [
    ...dataKeyErrors(next, 'data'),
    ...dataKeyErrors(next, 'binaryData'),
    ...immutableErrors(next, live, ['data', 'binaryData']),
  ],
};

const DATA_KEY = /^[-._a-zA-Z0-9]{1,253}$/;

function dataKeyErrors(object: KubeObject, field: string): FieldError[] {
  return Object.keys(objectAt(object, field))
    .filter((key) => !DATA_KEY.test(key) || key === '.' || key === '..')
    .map((key) =>
      fieldErrors.invalid(
        `${field}[${key}]`,
        key,
        "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
      ),
    );
}

function immutableErrors(next: KubeObject, live: KubeObject | undefined, fields: readonly string[]): FieldError[] {
  if (live?.['immutable'] !== true) return [];
  const found: FieldError[] = [];
  if (next['immutable'] !== true)
    found.push(fieldErrors.forbidden('immutable', 'field is immutable when `immutable` is set'));
  for (const field of fields) {
    if (!deepEqual(live[field], next[field]))
      found.push(fieldErrors.forbidden(field, 'field is immutable when `immutable` is set'));
  }
  return found;
}

/** What Go encodes of an Event although it is not set. */
const EVENT_BLANKS: readonly [string, unknown][] = [
  ['source', {}],
  ['firstTimestamp', null],
  ['lastTimestamp', null],
  ['eventTime', null],
  ['reportingComponent', ''],
  ['reportingInstance', ''],
];

function fillEvent(object: KubeObject): void {
  for (const [field, blank] of EVENT_BLANKS) if (object[field] === undefined) object[field] = blank;
}

function eventErrors(event: KubeObject, field: string): FieldError[] {
  const about = textAt(event, field, 'namespace') ?? '';
  const namespace = event.metadata.namespace ?? '';
  const fits = about === '' ? namespace === 'default' : about === namespace;
  return fits ? [] : [fieldErrors.invalid('involvedObject.namespace', about, 'does not match event.namespace')];
}

export const eventRules: KindRules = {
  createOnUpdate: true,
  names: 'path',
  prepareCreate: fillEvent,
  prepareUpdate: fillEvent,
  validate: (next) => eventErrors(next, 'involvedObject'),
  fields: (object) => {
    const about = objectAt(object, 'involvedObject');
    const fields: Record<string, string> = {};
    for (const field of ['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath']) {
      // One index serves both groups' names of the same fields.
      fields[`involvedObject.${field}`] = textAt(about, field) ?? '';
      fields[`regarding.${field}`] = textAt(about, field) ?? '';
    }
    fields['reportingController'] = textAt(object, 'reportingComponent') ?? '';
    fields['reason'] = textAt(object, 'reason') ?? '';
    fields['type'] = textAt(object, 'type') ?? '';
    fields['reportingComponent'] = textAt(object, 'reportingComponent') ?? '';
    fields['source'] = textAt(object, 'source', 'component') ?? textAt(object, 'reportingComponent') ?? '';
    return fields;
  },
};

/** The rules of events.k8s.io/v1, whose fields have other names until they are stored. */
export const newEventRules: KindRules = {
  createOnUpdate: true,
  names: 'path',
  validate: (next) => eventErrors(next, 'regarding'),
  ...(eventRules.fields === undefined ? {} : { fields: eventRules.fields }),
};

/** Protection finalizers are not added: no controller runs here that takes them away again. */
export const claimRules: KindRules = {
  defaults: (object) => {
    const spec = objectAt(object.spec);
    setDefault(spec, 'volumeMode', 'Filesystem');
    object.spec = spec;
  },
  prepareCreate: (object) => {
    object.status = { phase: 'Pending' };
  },
};

export const volumeRules: KindRules = {
  defaults: (object) => {
    const spec = objectAt(object.spec);
    setDefault(spec, 'persistentVolumeReclaimPolicy', 'Retain');
    setDefault(spec, 'volumeMode', 'Filesystem');
    if (isJson(spec['hostPath'])) setDefault(spec['hostPath'], 'type', '');
    object.spec = spec;
  },
  prepareCreate: (object, context) => {
    object.status = { phase: 'Pending', lastPhaseTransitionTime: context.now() };
  },
};

export const storageClassRules: KindRules = {
  defaults: (object) => {
    setDefault(object, 'reclaimPolicy', 'Delete');
    setDefault(object, 'volumeBindingMode', 'Immediate');
  },
};

export const autoscalerRules: KindRules = {
  defaults: (object) => {
    const spec = objectAt(object.spec);
    setDefault(spec, 'minReplicas', 1);
    if (listAt(spec, 'metrics').length === 0) {
      spec['metrics'] = [
        { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } } },
      ];
    }
    object.spec = spec;
  },
  prepareCreate: (object) => {
    object.status = { desiredReplicas: 0, currentMetrics: null };
  },
};

const RBAC_GROUP = 'rbac.authorization.k8s.io';

export const roleRules: KindRules = {
  names: 'path',
  defaults: (object) => {
    if (object['rules'] === undefined) object['rules'] = null;
  },
};

export const bindingRules: KindRules = {
  names: 'path',
  defaults: (object) => {
    const role = objectAt(object, 'roleRef');
    setDefault(role, 'apiGroup', RBAC_GROUP);
    object['roleRef'] = role;
    for (const subject of listAt(object, 'subjects')) {
      if (isJson(subject) && subject['kind'] !== 'ServiceAccount') setDefault(subject, 'apiGroup', RBAC_GROUP);
    }
  },
  validate: (next, live) =>
    live !== undefined && !deepEqual(live['roleRef'], next['roleRef'])
      ? [fieldErrors.invalid('roleRef', next['roleRef'], 'cannot change roleRef')]
      : [],
};

export const nodeRules: KindRules = {
  fields: (object) => ({ 'spec.unschedulable': String(objectAt(object.spec)['unschedulable'] === true) }),
};

export const priorityClassRules: KindRules = {
  generation: true,
  defaults: (object) => {
    setDefault(object, 'preemptionPolicy', 'PreemptLowerPriority');
  },
};

export const leaseRules: KindRules = { createOnUpdate: true };

export function blankDisruptionStatus(object: KubeObject): void {
  object.status = { currentHealthy: 0, desiredHealthy: 0, disruptionsAllowed: 0, expectedPods: 0 };
}
