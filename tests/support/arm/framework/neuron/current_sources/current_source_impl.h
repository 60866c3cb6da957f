/* Stand-in for sPyNNaker's current sources. */
accum current_source_get_offset(uint32_t time, uint32_t neuron_index);
