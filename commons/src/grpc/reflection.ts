import { fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  type DescriptorProto,
  type EnumDescriptorProto,
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from '@bufbuild/protobuf/wkt';
import { reflection, reflectionAlpha } from '@oaas/proto';
import { fileDescriptorSetBase64 } from '@oaas/proto/descriptors';
import type { ServiceHandlers } from './definition.ts';

type Request = reflection.ServerReflectionRequest;
type Response = reflection.ServerReflectionResponse;
type Answer = Partial<Omit<Response, 'validHost' | 'originalRequest'>>;

const v1 = reflection.ServerReflectionDefinition;
const v1alpha = reflectionAlpha.ServerReflectionDefinition;

/** Status codes of gRPC that the protocol puts into its answers. */
const codes = { invalidArgument: 3, notFound: 5 } as const;

export interface ReflectionService {
  readonly definition: typeof v1 | typeof v1alpha;
  readonly handlers: ServiceHandlers<typeof v1>;
}

/**
 * Server reflection (grpc/grpc, doc/server-reflection.md) in both versions that tools ask for, over the descriptors of
 * `@oaas/proto`. `services` names what the server offers.
 */
export function reflectionServices(services: () => readonly string[]): readonly ReflectionService[] {
  let index: DescriptorIndex | undefined;
  const handlers: ServiceHandlers<typeof v1> = {
    async *serverReflectionInfo(requests) {
      // Most servers are never asked: the descriptors are read when the first one asks.
      index ??= new DescriptorIndex(fileDescriptorSetBase64);
      for await (const request of requests) yield respond(request, answer(request, index, services()));
    },
  };
  return [
    { definition: v1, handlers },
    { definition: v1alpha, handlers },
  ];
}

function respond(request: Request, given: Answer): Response {
  return reflection.ServerReflectionResponse.fromPartial({
    validHost: request.host,
    originalRequest: request,
    ...given,
  });
}

function answer(request: Request, index: DescriptorIndex, services: readonly string[]): Answer {
  if (request.listServices !== undefined) {
    return { listServicesResponse: { service: services.map((name) => ({ name })) } };
  }
  if (request.fileByFilename !== undefined) return files(index, request.fileByFilename, request.fileByFilename);
  const symbol = request.fileContainingSymbol;
  if (symbol !== undefined) return files(index, index.fileOfSymbol(symbol), symbol);
  if (request.fileContainingExtension !== undefined || request.allExtensionNumbersOfType !== undefined) {
    return failure(codes.notFound, 'the contracts have no extensions');
  }
  return failure(codes.invalidArgument, 'the request asks for nothing');
}

function files(index: DescriptorIndex, file: string | undefined, asked: string): Answer {
  const found = file === undefined ? [] : index.withDependencies(file);
  if (found.length === 0) return failure(codes.notFound, `there is no "${asked}"`);
  return { fileDescriptorResponse: { fileDescriptorProto: found.map((bytes) => Buffer.from(bytes)) } };
}

function failure(errorCode: number, errorMessage: string): Answer {
  return { errorResponse: { errorCode, errorMessage } };
}

class DescriptorIndex {
  readonly #files = new Map<string, FileDescriptorProto>();
  readonly #symbols = new Map<string, string>();

  constructor(base64: string) {
    for (const file of fromBinary(FileDescriptorSetSchema, Buffer.from(base64, 'base64')).file) {
      this.#files.set(file.name, file);
      const scope = file.package === '' ? '' : `${file.package}.`;
      for (const message of file.messageType) this.#addMessage(file.name, scope, message);
      for (const type of file.enumType) this.#addEnum(file.name, scope, type);
      for (const service of file.service) {
        this.#symbols.set(scope + service.name, file.name);
        for (const method of service.method) this.#symbols.set(`${scope}${service.name}.${method.name}`, file.name);
      }
    }
  }

  fileOfSymbol(symbol: string): string | undefined {
    return this.#symbols.get(symbol);
  }

  /** The file and all that it imports, each once, the file first. Empty for an unknown name. */
  withDependencies(name: string): Uint8Array[] {
    const seen = new Map<string, Uint8Array>();
    const visit = (fileName: string): void => {
      const file = this.#files.get(fileName);
      if (file === undefined || seen.has(fileName)) return;
      seen.set(fileName, toBinary(FileDescriptorProtoSchema, file));
      file.dependency.forEach(visit);
    };
    visit(name);
    return [...seen.values()];
  }

  #addMessage(file: string, scope: string, message: DescriptorProto): void {
    const name = scope + message.name;
    this.#symbols.set(name, file);
    for (const field of message.field) this.#symbols.set(`${name}.${field.name}`, file);
    for (const nested of message.nestedType) this.#addMessage(file, `${name}.`, nested);
    for (const type of message.enumType) this.#addEnum(file, `${name}.`, type);
  }

  #addEnum(file: string, scope: string, type: EnumDescriptorProto): void {
    this.#symbols.set(scope + type.name, file);
    // The values of an enum are named beside it, not below it.
    for (const value of type.value) this.#symbols.set(scope + value.name, file);
  }
}
