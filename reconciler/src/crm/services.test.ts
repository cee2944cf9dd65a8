import { createCrmInfoClient, createDeploymentClient } from '@oaas/commons/client';
import { eventually } from '@oaas/commons/testkit';
import { deployment } from '@oaas/proto';
import { beforeAll, expect, it } from 'vitest';
import { counterUnit, describeCrm, token } from '../../testkit/crm-under-test/index.ts';

describeCrm((crm) => {
  const present = ['first', 'second', 'third', 'fourth'].map((name) => counterUnit(name));

  beforeAll(async () => {
    for (const unit of present) await crm.client.deploy({ deploymentUnit: unit });
  });

  it('refuses a unit that cannot run, naming every field', async () => {
    const unit = counterUnit('bad', {
      id: 'Not_An_Id',
      functions: [{ functionKey: 'a', functionType: 'WASM' }, { functionKey: 'b' }],
      odgmConfig: { shardType: 'paxos', partitionCount: 4000 },
    });
    const error = await crm.client.deploy({ deploymentUnit: unit }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'InvalidArgument' });
    for (const field of [
      'id',
      'odgm_config.shard_type',
      'odgm_config.partition_count',
      'functions[0].function_type',
      'functions[1].provision_config.container_image',
      'function_bindings[0].function_key',
    ]) {
      expect(String(error)).toContain(`${field}: `);
    }
  });

  it('refuses callers without the token', async () => {
    const stranger = createDeploymentClient(crm.channel, {
      metadata: { authorization: 'Bearer something-else-entirely' },
    });
    await expect(stranger.listDeploymentRecords({})).rejects.toMatchObject({ code: 'Unauthenticated' });
  });

  it('streams all records, then SYNCED, then changes and deletions', async () => {
    const seen: string[] = [];
    const stop = new AbortController();
    const reading = (async () => {
      for await (const { type, record: view } of crm.client.watchDeploymentRecords({}, { signal: stop.signal })) {
        seen.push(
          type === deployment.RecordEventType.RECORD_EVENT_SYNCED ? 'SYNCED' : `${String(type)} ${view?.id ?? ''}`,
        );
      }
    })().catch(() => undefined);
    await eventually(() => seen.includes('SYNCED'));
    expect(seen.slice(0, -1)).toEqual(expect.arrayContaining(present.map(({ id }) => `1 ${id}`)));
    const unit = counterUnit('watched');
    await crm.client.deploy({ deploymentUnit: unit });
    await eventually(() => seen.includes(`1 ${unit.id}`));
    await crm.client.deploy({
      deploymentUnit: { ...unit, source: { ...unit.source, commit: 'f00d', digest: 'digest-2' } },
    });
    await eventually(() => seen.includes(`2 ${unit.id}`));
    await crm.client.deleteDeployment({ deploymentId: unit.id });
    await eventually(() => seen.includes(`3 ${unit.id}`));
    stop.abort();
    await reading;
  });

  it('pages its records and tells about itself', async () => {
    const first = await crm.client.listDeploymentRecords({ limit: 2 });
    const second = await crm.client.listDeploymentRecords({ limit: 1000, cursor: first.nextCursor });
    const all = await crm.client.listDeploymentRecords({});
    expect([...first.records, ...second.records].map(({ id }) => id)).toEqual(all.records.map(({ id }) => id));
    expect(second.nextCursor).toBe('');
    await expect(crm.client.listDeploymentRecords({ cursor: 'bogus' })).rejects.toMatchObject({
      code: 'InvalidArgument',
    });
    const info = createCrmInfoClient(crm.channel, { metadata: { authorization: `Bearer ${token}` } });
    expect(await info.getEnvHealth({ env: '' })).toMatchObject({
      envName: 'cloud',
      leader: true,
      records: all.records.length,
    });
    const ready = await fetch(`http://${crm.program.listening.ops}/ready`);
    expect(ready.status).toBe(200);
    expect(await (await fetch(`http://${crm.program.listening.ops}/metrics`)).text()).toContain(
      'crm_nfr_violations_total',
    );
  });
});
