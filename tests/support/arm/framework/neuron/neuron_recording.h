/* Stand-in for sPyNNaker's recording; like the original it needs these numbers beforehand. */
#if N_RECORDED_VARS != 1 || N_BITFIELD_VARS != 1
#error "define what is recorded before including this header"
#endif
void neuron_recording_record_accum(uint32_t variable, uint32_t neuron, accum value);
void neuron_recording_record_bit(uint32_t variable, uint32_t neuron);
