import type { S3Encryption, S3StorageClass } from '../s3-object-options.ts';
import type { Environment } from './environment.ts';
import type { ListenAddress } from './listen-address.ts';
import { type S3Server, s3ServerOf } from './s3-server.ts';
import type { BlobsPlace } from './s3-types.ts';
import type { MetadataPlace } from './setting-types.ts';
import { settings } from './settings.ts';
import type { Setting } from './settings.ts';
import { lowBelow, type StorageBound } from './storage-bound.ts';

/** All settings of one process, parsed and within their bounds. docs/configuration.md describes each of them. */
export interface Config {
  /** The data directory as it was given: a relative path is relative to the working directory. */
  readonly data: string;
  readonly metadata: MetadataPlace;
  readonly blobs: BlobsPlace;
  /** How the database is used, where it is a PostgreSQL. */
  readonly postgres: {
    readonly connections: number;
    readonly statementTimeoutMs: number;
  };
  /** How blobs are kept in a bucket, where they are. */
  readonly s3: S3Server & {
    /** Of the AWS tools' files, which has the credentials; undefined: wherever they are found. */
    readonly profile: string | undefined;
    /** Undefined: as the bucket says. */
    readonly encryption: S3Encryption | undefined;
    readonly storageClass: S3StorageClass | undefined;
    readonly partBytes: number;
    /** How long after the removal of an object a write to it may still arrive; 0: not at all. */
    readonly lateWritesMs: number;
    /** Whether pulls are sent to URLs there. */
    readonly isRedirecting: boolean;
    /** How long those URLs hold. */
    readonly redirectLifeMs: number;
    /** Where clients reach the server; undefined: where the registry does. */
    readonly redirectEndpoint: string | undefined;
    /** Globs of the repositories whose pulls are sent there. */
    readonly redirectRepositories: readonly string[];
    /** The networks of the clients whose pulls are; undefined: any. */
    readonly redirectNetworks: readonly string[] | undefined;
  };
  /** How many processes serve. */
  readonly workers: number;
  readonly listen: ListenAddress;
  readonly auth: {
    /** The password file as it was given; undefined where there is none. */
    readonly htpasswd: string | undefined;
    /** What everybody may do, whatever the access rules say. */
    readonly anonymous: 'none' | 'pull' | 'all';
    readonly tokens: {
      /** Whether clients get tokens from the registry itself. */
      readonly isServed: boolean;
      readonly service: string;
      /** Undefined: at whatever address a client has asked. */
      readonly realm: string | undefined;
      readonly lifeMs: number;
      readonly rotationMs: number;
      /** 0: there are no refresh tokens. */
      readonly refreshLifeMs: number;
    };
  };
  readonly tls: {
    /** The PEM files as they were given; undefined where there are none. */
    readonly certificate: string | undefined;
    readonly key: string | undefined;
    readonly clientCertificates: 'none' | 'optional' | 'required';
    readonly clientAuthorities: string | undefined;
    readonly handshakeTimeoutMs: number;
  };
  readonly windows: {
    readonly leaseMs: number;
    readonly neverTaggedMs: number;
    readonly trashMs: number;
    readonly condemnedMs: number;
    readonly uploadMs: number;
    /** How long what fsck has adopted stays. */
    readonly adoptedMs: number;
  };
  readonly manifests: {
    readonly maxSizeBytes: number;
    /** Whether manifests may be pushed before what they reference. */
    readonly sparse: { readonly images: boolean; readonly indexes: boolean };
  };
  readonly http: {
    /** Addresses and networks (CIDR) whose X-Forwarded-* headers are believed. */
    readonly trustedProxies: readonly string[];
    /** By which names the registry may be asked where nobody has to log in, beside those of this machine. */
    readonly hosts: readonly string[] | 'any';
    readonly location: 'relative' | 'absolute';
    /** 0: never; otherwise from 1 s to 255 s, the most that the runtime can do. */
    readonly idleTimeoutMs: number;
    readonly drainMs: number;
    readonly plainListen: ListenAddress | undefined;
  };
  /** 0, or undefined for a size: no limit. */
  readonly limits: {
    readonly connections: number;
    readonly connectionsPerClient: number;
    readonly uploadsPerClient: number;
    readonly uploadSessionsPerClient: number;
    readonly uploadBytesPerSecondPerClient: number | undefined;
    readonly requestsPerSecondPerClient: number;
    readonly requestBurstPerClient: number;
  };
  readonly pulls: {
    readonly flushMs: number;
    /** How long it is remembered what was pulled, pushed and removed; 0: not at all. */
    readonly historyMs: number;
  };
  readonly collector: {
    /** Whether this process collects; if not, others do. */
    readonly isRun: boolean;
    /** Reviews a second, at most. */
    readonly perSecond: number;
    /** Above 0 and up to 1. */
    readonly shareBesideRequests: number;
    /** Reviews between two turns of requests. */
    readonly batch: number;
  };
  readonly retention: {
    readonly lookAfterMs: number;
    readonly noticeMs: number;
    readonly largestClockStepMs: number;
    readonly clockPauseMs: number;
  };
  readonly storage: {
    /** Undefined where nothing goes before its time. */
    readonly high: StorageBound | undefined;
    /** In the unit of `high`, and below it. */
    readonly low: StorageBound | undefined;
    /** Undefined: whatever suits the file system. */
    readonly reserve: StorageBound | undefined;
  };
  readonly events: { readonly keepMs: number };
  readonly audit: {
    /** Undefined where events are written to no file. */
    readonly file: string | undefined;
  };
  readonly log: {
    readonly level: 'debug' | 'info' | 'warn' | 'error';
    readonly format: 'auto' | 'pretty' | 'json';
    readonly requests: 'all' | 'changes' | 'errors';
  };
}

/** The configuration made of the value of each setting, and of what the AWS tools' variables say where they say nothing. */
export function configOf(valueOf: <T>(setting: Setting<T>) => T, environment: Environment): Config {
  const high = valueOf(settings.storageHigh);
  const s3Server = {
    endpoint: valueOf(settings.s3Endpoint),
    region: valueOf(settings.s3Region),
    pathStyle: valueOf(settings.s3PathStyle),
  };
  const storageClass = valueOf(settings.s3StorageClass);
  return {
    data: valueOf(settings.data),
    metadata: valueOf(settings.metadata),
    blobs: valueOf(settings.blobs),
    postgres: {
      connections: valueOf(settings.postgresConnections),
      statementTimeoutMs: valueOf(settings.postgresStatementTimeout),
    },
    s3: {
      ...s3ServerOf(s3Server, environment),
      profile: valueOf(settings.s3Profile),
      encryption: valueOf(settings.s3Encryption),
      storageClass: storageClass === 'bucket' ? undefined : storageClass,
      partBytes: valueOf(settings.s3PartSize),
      lateWritesMs: valueOf(settings.s3LateWrites),
      isRedirecting: valueOf(settings.s3Redirect) === 'on',
      redirectLifeMs: valueOf(settings.s3RedirectLife),
      redirectEndpoint: valueOf(settings.s3RedirectEndpoint),
      redirectRepositories: valueOf(settings.s3RedirectRepositories),
      redirectNetworks: valueOf(settings.s3RedirectNetworks),
    },
    workers: valueOf(settings.workers),
    listen: valueOf(settings.listen),
    auth: {
      htpasswd: valueOf(settings.authHtpasswd),
      anonymous: valueOf(settings.authAnonymous),
      tokens: {
        isServed: valueOf(settings.authTokensServe) === 'on',
        service: valueOf(settings.authTokensService),
        realm: valueOf(settings.authTokensRealm),
        lifeMs: valueOf(settings.authTokensLife),
        rotationMs: valueOf(settings.authTokensRotation),
        refreshLifeMs: valueOf(settings.authTokensRefreshLife),
      },
    },
    tls: {
      certificate: valueOf(settings.tlsCertificate),
      key: valueOf(settings.tlsKey),
      clientCertificates: valueOf(settings.tlsClientCertificates),
      clientAuthorities: valueOf(settings.tlsClientAuthorities),
      handshakeTimeoutMs: valueOf(settings.tlsHandshakeTimeout),
    },
    windows: {
      leaseMs: valueOf(settings.windowsLease),
      neverTaggedMs: valueOf(settings.windowsNeverTagged),
      trashMs: valueOf(settings.windowsTrash),
      condemnedMs: valueOf(settings.windowsCondemned),
      uploadMs: valueOf(settings.windowsUpload),
      adoptedMs: valueOf(settings.windowsAdopted),
    },
    manifests: {
      maxSizeBytes: valueOf(settings.manifestsMaxSize),
      sparse: {
        images: valueOf(settings.manifestsSparseImages) === 'allow',
        indexes: valueOf(settings.manifestsSparseIndexes) === 'allow',
      },
    },
    http: {
      trustedProxies: valueOf(settings.httpTrustedProxies),
      hosts: valueOf(settings.httpHosts),
      location: valueOf(settings.httpLocation),
      idleTimeoutMs: valueOf(settings.httpIdleTimeout),
      drainMs: valueOf(settings.httpDrain),
      plainListen: valueOf(settings.httpPlainListen),
    },
    limits: {
      connections: valueOf(settings.limitsConnections),
      connectionsPerClient: valueOf(settings.limitsConnectionsPerClient),
      uploadsPerClient: valueOf(settings.limitsUploadsPerClient),
      uploadSessionsPerClient: valueOf(settings.limitsUploadSessionsPerClient),
      uploadBytesPerSecondPerClient: valueOf(settings.limitsUploadRatePerClient),
      requestsPerSecondPerClient: valueOf(settings.limitsRequestRatePerClient),
      requestBurstPerClient: valueOf(settings.limitsRequestBurstPerClient),
    },
    pulls: { flushMs: valueOf(settings.pullsFlush), historyMs: valueOf(settings.pullsHistory) },
    collector: {
      isRun: valueOf(settings.collectorRun) === 'on',
      perSecond: valueOf(settings.collectorRate),
      batch: valueOf(settings.collectorBatch),
      shareBesideRequests: valueOf(settings.collectorShare) / 100,
    },
    retention: {
      lookAfterMs: valueOf(settings.retentionDelay),
      noticeMs: valueOf(settings.retentionNotice),
      largestClockStepMs: valueOf(settings.retentionClockStep),
      clockPauseMs: valueOf(settings.retentionClockPause),
    },
    storage: {
      high,
      low: valueOf(settings.storageLow) ?? (high && lowBelow(high)),
      reserve: valueOf(settings.storageReserve),
    },
    events: { keepMs: valueOf(settings.eventsKeep) },
    audit: { file: valueOf(settings.auditFile) },
    log: {
      level: valueOf(settings.logLevel),
      format: valueOf(settings.logFormat),
      requests: valueOf(settings.logRequests),
    },
  };
}
