import { afterAll, beforeAll, describe } from 'vitest';
import { applyBehaviours } from './apply.ts';
import { crudBehaviours } from './crud.ts';
import { customResourceBehaviours } from './custom-resources.ts';
import { deletionBehaviours } from './deletion.ts';
import { discoveryBehaviours } from './discovery.ts';
import { kindBehaviours } from './kinds.ts';
import { kubectlBehaviours } from './kubectl.ts';
import { listBehaviours } from './lists.ts';
import { patchBehaviours } from './patches.ts';
import { Scene } from './scene.ts';
import type { Running, Target } from './targets.ts';
import { watchBehaviours } from './watches.ts';

/** Describes the whole suite for one server. */
export function conformance(target: Target): void {
  const name = `Kubernetes API conformance of ${target.name}`;
  if (target.missing !== undefined) {
    describe.skip(`${name}, skipped: ${target.missing}`, () => undefined);
    return;
  }
  describe(name, () => {
    let running: Running | undefined;
    const scene = new Scene(() => {
      if (running === undefined) throw new Error('the server has not started');
      return running;
    });
    beforeAll(async () => {
      running = await target.start();
    }, 120_000);
    afterAll(async () => {
      await running?.stop();
    }, 60_000);

    describe('discovery', () => {
      discoveryBehaviours(scene);
    });
    describe('objects', () => {
      crudBehaviours(scene);
    });
    describe('lists', () => {
      listBehaviours(scene);
    });
    describe('watches', () => {
      watchBehaviours(scene);
    });
    describe('patches', () => {
      patchBehaviours(scene);
    });
    describe('server-side apply', () => {
      applyBehaviours(scene);
    });
    describe('custom resources', () => {
      customResourceBehaviours(scene);
    });
    describe('deletion', () => {
      deletionBehaviours(scene);
    });
    describe('built-in kinds', () => {
      kindBehaviours(scene);
    });
    describe('kubectl', () => {
      kubectlBehaviours(scene);
    });
  });
}
