import { unit as wire } from '@oaas/proto';
import { describe, expect, it } from 'vitest';
import { specToUnit, unitToSpec } from './convert.ts';
import { recordSpecSchema } from './schema.ts';

const full = wire.DeploymentUnit.fromPartial({
  id: 'counter-counter-fb662680',
  packageName: 'counter',
  packageVersion: '1.0',
  classKey: 'Counter',
  targetEnv: 'cloud',
  functions: [
    {
      functionKey: 'increment',
      functionType: 'CUSTOM',
      config: { GREETING: 'hi', EMPTY: '' },
      provisionConfig: {
        containerImage: 'oaas/example-counter:1',
        port: 8080,
        maxConcurrency: 4,
        needHttp2: true,
        minScale: 0,
      },
    },
  ],
  functionBindings: [{ name: 'inc', functionKey: 'increment', stateless: false, parameters: ['by'] }],
  odgmConfig: {
    collections: ['counters'],
    partitionCount: 4,
    options: { node_count: '2' },
    invocations: { fnRoutes: {}, disabledFn: ['reset'] },
    eventTriggers: [{ event: 'data_create', key: 'count', functionKey: 'increment', asyncExecution: true }],
  },
  selectedTemplate: 'k8s_deployment',
  telemetry: { enabled: true, samplingRate: 0, resourceAttributes: { a: 'b' } },
  source: { source: 'demo', repo: 'http://x/y.git', ref: 'main', commit: 'c0ffee', path: 'a.yaml', digest: 'd1' },
  generation: 3,
  nfrRequirements: { minThroughputRps: 0, availability: 0.9 },
  environment: { REGION: '' },
  stateSpec: { consistencyModel: 'STRONG', persistent: false },
});

describe('unit and spec', () => {
  it('carry the same: a unit comes back from its spec as it was', () => {
    expect(specToUnit(full.id, unitToSpec(full))).toEqual(full);
  });

  it('of a full unit fit the schema of the record', () => {
    const spec = unitToSpec(full);
    expect(recordSpecSchema.strict().parse(spec)).toEqual(spec);
  });

  it('keep zero, false and empty values that mean something', () => {
    const spec = unitToSpec(full);
    expect(spec.environment).toEqual({ REGION: '' });
    expect(spec.deploymentUnit.functions?.[0]?.config).toEqual({ GREETING: 'hi', EMPTY: '' });
    expect(spec.deploymentUnit.functions?.[0]?.provisionConfig?.minScale).toBe(0);
    expect(spec.nfrRequirements?.minThroughputRps).toBe(0);
    expect(spec.deploymentUnit.stateSpec?.persistent).toBe(false);
  });

  it('say nothing about what was not asked for', () => {
    const bare = wire.DeploymentUnit.fromPartial({ id: 'x', packageName: 'p', classKey: 'C', targetEnv: 'e' });
    expect(unitToSpec(bare)).toEqual({
      deploymentUnit: { packageName: 'p', classKey: 'C' },
      targetEnvironment: 'e',
    });
  });
});
