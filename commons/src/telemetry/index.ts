/** What a program tells about itself: log lines with correlation ids, metrics, and the pages every program serves. */
export { createLogger, type Logger, type LoggerOptions, type LogLevel, logLevels } from './logger.ts';
export {
  acceptCorrelationId,
  correlationHeader,
  currentCorrelationId,
  newCorrelationId,
  withCorrelation,
} from './correlation.ts';
export {
  type CounterMetric,
  createMetrics,
  durationBuckets,
  type GaugeMetric,
  type HistogramMetric,
  type LabelBound,
  type LabelBounds,
  type LabelValues,
  type Metrics,
  type MetricsOptions,
  otherLabel,
} from './metrics.ts';
export { createOpsHandler, type OpsHandler, type OpsOptions, type OpsServer, startOpsServer } from './ops-server.ts';
