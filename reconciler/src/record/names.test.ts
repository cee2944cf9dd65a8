import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { childNames, isUnitId, unitId } from './names.ts';

const name = fc.string({ minLength: 1, maxLength: 80, unit: 'binary' });

describe('unitId', () => {
  it('is readable and never changes for the same three names', () => {
    expect(unitId('counter', 'Counter', 'cloud')).toBe('counter-counter-fb662680');
    expect(unitId('counter', 'Counter', 'edge')).not.toBe(unitId('counter', 'Counter', 'cloud'));
  });

  it('keeps apart names that join to the same text', () => {
    expect(unitId('a-b', 'c', 'x')).not.toBe(unitId('a', 'b-c', 'x'));
    expect(unitId('a', 'Counter', 'x')).not.toBe(unitId('a', 'counter', 'x'));
  });

  it('starts with a letter even when the package does not, so that Services accept it', () => {
    expect(unitId('3d', 'Model', 'x')).toMatch(/^u-3d-model-[0-9a-f]{8}$/);
    expect(unitId('___', '...', 'x')).toMatch(/^u-[0-9a-f]{8}$/);
  });

  it('is a DNS label of at most 36 characters for any names', () => {
    fc.assert(
      fc.property(name, name, name, (packageName, classKey, environment) => {
        const id = unitId(packageName, classKey, environment);
        expect(id.length).toBeLessThanOrEqual(36);
        expect(isUnitId(id)).toBe(true);
      }),
    );
  });
});

describe('childNames', () => {
  it('names the parts of a grid after the unit', () => {
    const names = childNames('counter-counter-fb662680');
    expect(names.grid).toBe('counter-counter-fb662680-odgm');
    expect(names.peers).toBe('counter-counter-fb662680-odgm-peers');
    expect(names.config).toBe('counter-counter-fb662680-odgm-config');
    expect(names.gridNode(2)).toBe('counter-counter-fb662680-odgm-2');
    expect(names.workload('inc')).toBe('counter-counter-fb662680-fn-inc');
  });

  it('keeps function keys apart that look alike as DNS labels', () => {
    const names = childNames('a-b-00000000');
    const workloads = ['a.b', 'a-b', 'a_b', 'A-b'].map((key) => names.workload(key));
    expect(new Set(workloads).size).toBe(4);
  });

  it('leaves room for what Kubernetes appends, whatever the names', () => {
    fc.assert(
      fc.property(name, name, name, (packageName, classKey, key) => {
        const names = childNames(unitId(packageName, classKey, 'env'));
        expect(names.grid.length).toBeLessThanOrEqual(52);
        expect(names.workload(key).length).toBeLessThanOrEqual(58);
        for (const child of [names.grid, names.peers, names.config, names.workload(key)]) {
          expect(child).toMatch(/^[a-z](?:[-a-z0-9]*[a-z0-9])?$/);
        }
      }),
    );
  });
});
