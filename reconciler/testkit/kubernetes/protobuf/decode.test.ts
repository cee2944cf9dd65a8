import { describe, expect, it } from 'vitest';
import { decodeProtobuf } from './decode.ts';

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');

describe('a body in protobuf', () => {
  it('is the JSON that kubectl would have sent instead', () => {
    // kubectl create configmap a --from-literal=x=1
    const body = hex(
      '6b387300 0a0f0a02 76311209 436f6e66 69674d61 70121b0a 110a0161 12001a00 22002a00 32003800 42001206 0a017812 01311a00 2200',
    );
    expect(decodeProtobuf(body)).toEqual({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'a' },
      data: { x: '1' },
    });
  });

  it('keeps a zero that is meant, such as no replicas', () => {
    // apps/v1 Deployment: spec (2) with replicas (1) 0 and minReadySeconds (5) 0, which is no pointer.
    const spec = '0800 2800';
    const raw = `1204${spec}`;
    const type = `0a07${Buffer.from('apps/v1').toString('hex')} 120a${Buffer.from('Deployment').toString('hex')}`;
    const body = hex(`6b387300 0a15${type} 1206${raw}`);
    expect(decodeProtobuf(body)['spec']).toEqual({ replicas: 0 });
  });

  it.each([
    ['without the mark of Kubernetes', '0a0f', 'does not begin'],
    ['that ends too early', '6b387300 0a0f0a02', 'too early'],
    ['of a kind that is not served', '6b387300 0a07 0a027631 120158 1200', 'no protobuf form of v1, Kind=X'],
    ['with an unknown wire type', '6b387300 0b', 'wire type'],
  ])('%s is refused', (_what, body, message) => {
    expect(() => decodeProtobuf(hex(body))).toThrow(message);
  });
});
