"""Post-training of one base, stage by stage, on TRL's own trainers: sft, dpo, rlvr.

data        rows of each stage, as the tokens a base reads
trainers    SFTTrainer, DPOTrainer and GRPOTrainer over rows that are tokens already
rewards     functions that verify an answer
fitting     what the three share: checkpoints, the log, a loss that is no number or runs away
progress    whether a stage improves what it trains on, with an interval
work        one stage, from its parent to a saved checkpoint
"""
